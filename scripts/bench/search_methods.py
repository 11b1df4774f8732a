"""Searches of a table of trained networks, each by the trainings it may use.

A method takes a table, the number of trainings and a seed, and returns the configuration that it
would hand to its user, as the indices of the table.
"""

from __future__ import annotations

import random as python_random
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.hpo_tables import HpoTable
from evonet.config import RunConfig
from evonet.evolution.methods import METHODS as EVONET_METHODS
from evonet.evolution.search import Candidate, Draw, Search, SearchSettings
from evonet.outcome import count_finalists

Place = tuple[int, ...]
Method = Callable[[HpoTable, int, int], Place]

_EA_POPULATION = 20
#: Inputs of the networks whose parameters are counted: the tables do not say.
_INPUTS = 30
#: Generations for each training, after which a search that trains nothing new is ended.
_MOST_GENERATIONS = 0.5


def random_search(table: HpoTable, n_trainings: int, seed: int) -> Place:
    """Configurations drawn at random; the best training wins."""
    rng = np.random.default_rng(seed)
    shape = table.scores.shape[:-1]
    places = [tuple(int(rng.integers(n)) for n in shape) for _ in range(n_trainings)]
    return min(places, key=lambda place: table.train_at(place, rng))


def ea_simple(table: HpoTable, n_trainings: int, seed: int) -> Place:
    """DEAP's own ``eaSimple`` as its tutorials set it up; repeated individuals train again."""
    from deap import base, tools
    from deap.algorithms import varAnd

    from evonet.streams import lend_to_python_random

    rng = np.random.default_rng(seed)
    shape = table.scores.shape[:-1]

    class Fitness(base.Fitness):
        weights = (-1.0,)

    class Individual(list):
        def __init__(self, genes: Any = ()) -> None:
            super().__init__(genes)
            self.fitness = Fitness()

    toolbox = base.Toolbox()
    toolbox.register("mate", tools.cxTwoPoint)
    highest = [n - 1 for n in shape]
    toolbox.register("mutate", tools.mutUniformInt, low=[0] * len(shape), up=highest, indpb=0.2)
    best: tuple[float, Place] = (np.inf, tuple(0 for _ in shape))
    left = n_trainings
    with lend_to_python_random(rng):
        population = [
            Individual(python_random.randrange(n) for n in shape) for _ in range(_EA_POPULATION)
        ]
        while left > 0:
            for individual in population:
                if not individual.fitness.valid and left > 0:
                    loss = table.train_at(tuple(individual), rng)
                    individual.fitness.values = (loss,)
                    best, left = min(best, (loss, tuple(individual))), left - 1
            population = [i for i in population if i.fitness.valid]
            chosen = tools.selTournament(population, _EA_POPULATION, tournsize=3)
            population = varAnd(chosen, toolbox, cxpb=0.5, mutpb=0.2)
    return best[1]


def optuna_tpe(table: HpoTable, n_trainings: int, seed: int) -> Place:
    """Optuna's default sampler; numbers as numbers, on a log scale where they are powers."""
    return _tpe_ranked(table, n_trainings, np.random.default_rng(seed), seed)[0]


def optuna_tpe_revalidated(table: HpoTable, n_trainings: int, seed: int) -> Place:
    """The same, with as many trainings spent on choosing among its best as evonet spends."""
    config, rng = RunConfig(), np.random.default_rng(seed)
    n = count_finalists(config.finalists, config.repeats, n_trainings)
    ranked = _tpe_ranked(table, n_trainings - n * config.repeats, rng, seed)
    return _best_again(table, ranked[:n], config.repeats, rng)


def _best_again(
    table: HpoTable, finalists: Sequence[Place], repeats: int, rng: np.random.Generator
) -> Place:
    """The finalist of the lowest mean when each is trained again."""

    def again(place: Place) -> float:
        return float(np.mean([table.train_at(place, rng) for _ in range(repeats)]))

    return min(finalists, key=again)


def _tpe_ranked(
    table: HpoTable, n_trainings: int, rng: np.random.Generator, seed: int
) -> list[Place]:
    """All configurations that Optuna tried, best first, each by its best training."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def suggest(trial: Any) -> Place:
        place = []
        for name, values in table.values.items():
            if isinstance(values[0], str):
                place.append(values.index(trial.suggest_categorical(name, values)))
            else:  # steps of a grid, even on the scale that the grid was made on
                place.append(trial.suggest_int(name, 0, len(values) - 1))
        return tuple(place)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(lambda trial: table.train_at(suggest(trial), rng), n_trials=n_trainings)
    trials = sorted(study.trials, key=lambda trial: trial.value or 0.0)
    return list(dict.fromkeys(_place(table, trial.params) for trial in trials))


def _place(table: HpoTable, chosen: Mapping[str, Any]) -> Place:
    return tuple(
        values.index(chosen[name]) if isinstance(values[0], str) else chosen[name]
        for name, values in table.values.items()
    )


@dataclass(frozen=True)
class _Repeating(Search):
    """A search that asks for a genome as often as it is drawn."""

    def _first_unseen(self, draw: Draw, _: Collection[str]) -> Candidate | None:
        return super()._first_unseen(draw, set())


@dataclass(frozen=True)
class Evonet:
    """A search of evonet's with its default settings, or changed ones.

    Without what the tables have no place for: the genomes that a run starts with (it draws them all
    here), and giving up early.

    Attributes:
        method: as in ``--method``.
        changes: fields of ``SearchSettings`` that differ from the default.
        finalists: best candidates that are trained again, at most.
        repeats: how often each of them; 0 for none.
        unseen: whether a genome is asked for only once.
        cached: whether a configuration that is asked for again is not trained again.
        adapted: whether mutations are drawn by the credit they earned.
        sized: whether of equal scores the smaller network is the better one.
    """

    method: str = "ga"
    changes: Mapping[str, Any] = field(default_factory=dict)
    finalists: int = RunConfig().finalists
    repeats: int = RunConfig().repeats
    unseen: bool = True
    cached: bool = True
    adapted: bool = True
    sized: bool = True

    def __call__(self, table: HpoTable, n_trainings: int, seed: int) -> Place:
        rng = np.random.default_rng(seed)
        defaults = RunConfig()
        names = SearchSettings.__dataclass_fields__
        settings = SearchSettings(**{name: getattr(defaults, name) for name in names})
        method = EVONET_METHODS[self.method]
        kind = Search if self.unseen else _Repeating
        search = kind(table.space, replace(settings, **self.changes), method, seed)
        if self.sized:
            search = replace(search, size_of=lambda genome: genome.parameter_count(_INPUTS, 1))
        losses: dict[Place, float] = {}
        n_trained = 0
        n_finalists = 0
        if self.repeats:
            n_finalists = count_finalists(self.finalists, self.repeats, n_trainings)
        n_search = n_trainings - n_finalists * self.repeats
        while n_trained < n_search and search.generation < _MOST_GENERATIONS * n_trainings:
            results = []
            for candidate in search.ask():
                own = replace(candidate, genome=table.canonical(candidate.genome))
                place = table.place_of(own.genome)
                loss = losses.get(place) if self.cached else None
                if loss is None:
                    if n_trained == n_search:
                        break
                    loss, n_trained = table.train_at(place, rng), n_trained + 1
                    losses[place] = min(loss, losses.get(place, loss))
                results.append((own, (-loss,)))
            search = search.tell(results)
            if not self.adapted:
                search = replace(search, credits={})
        ranked = sorted(losses, key=lambda place: losses[place])
        if not n_finalists:
            return ranked[0]
        return _best_again(table, ranked[:n_finalists], self.repeats, rng)


METHODS: Mapping[str, Method] = {
    "random": random_search,
    "eaSimple": ea_simple,
    "Optuna TPE": optuna_tpe,
    "Optuna TPE, revalidated": optuna_tpe_revalidated,
    "evonet aging": Evonet("aging"),
    "evonet tpe": Evonet("tpe"),
    "evonet": Evonet(),
}

#: evonet without one of its parts. What the tables cannot tell, since they hold no learning curves:
#: what giving up early is worth (``bench_training.py --only fidelity``).
ABLATIONS: Mapping[str, Method] = {
    "evonet": Evonet(),
    "genomes asked for again": Evonet(unseen=False),
    "and trained again": Evonet(unseen=False, cached=False),
    "no re-validation": Evonet(repeats=0),
    "no adaptation": Evonet(adapted=False),
    "no crossover": Evonet(changes={"crossover_rate": 0.0}),
    "no screening": Evonet(changes={"screened": 1}),
    "no parsimony": Evonet(sized=False),
}

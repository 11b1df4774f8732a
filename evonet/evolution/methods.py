"""The methods of search, each as plain functions: how candidates are drawn, and who survives.

To add a method: its functions (see ``search.Method``), a row in ``METHODS``, its name in
``RunConfig.method``. What is drawn may depend on the state and on named streams alone: that is
what makes a resumed search ask for the same genomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from evonet.evolution.credit import factors
from evonet.evolution.screening import Judge, forest_judge
from evonet.evolution.search import Candidate, Draw, Draws, Method, Search, given, random_draw
from evonet.evolution.selection import Member, best, tournament
from evonet.evolution.tpe import modelled
from evonet.evolution.variation import MUTATIONS, crossover, mutate
from evonet.streams import stream

#: Generations without progress after which immigrants come. Untuned.
_STALLED = 3

# Draws


def at_random(search: Search, n: int) -> Sequence[Draw]:
    """Every genome drawn anew, every gene on its own."""
    return Draws(n, lambda slot: random_draw(search, slot))


def spread(search: Search, n: int) -> list[Draw]:
    """A Latin hypercube: see ``SearchSpace.spread``."""
    rng = stream(search.seed, "sample", search.generation)
    return [given(genome, "random") for genome in search.space.spread(rng, n)]


def evolved(search: Search, n: int) -> Sequence[Draw]:
    """Offspring of tournament winners by crossover and mutation; immigrants once it stalls."""
    stalled = search.stalled >= _STALLED
    n_offspring = n - (round(search.settings.immigrants * n) if stalled else 0)
    rates = factors(search.credits, MUTATIONS)

    def draw(slot: int) -> Draw:
        return _offspring(search, slot, rates) if slot < n_offspring else random_draw(search, slot)

    return Draws(n, draw)


def mutated(search: Search, n: int) -> Sequence[Draw]:
    """Mutants of tournament winners: all operators by their own weights, no crossover."""
    return Draws(n, lambda slot: _mutant(search, slot))


def _offspring(search: Search, slot: int, rates: Mapping[str, float]) -> Draw:
    selecting = stream(search.seed, "selection", search.generation, slot)
    varying = stream(search.seed, "variation", search.generation, slot)
    space, settings = search.space, search.settings

    def draw() -> Candidate:
        winners = tournament(selecting, search.population, 2, settings.tournament_size)
        mother, father = (member.genome for member in winners)
        if mother != father and varying.random() < settings.crossover_rate:
            crossed = crossover(varying, mother, father, space)
            child, mutations = mutate(varying, crossed, space, rates)
            operators, parents = ("crossover", *mutations), (mother.key, father.key)
            return Candidate(child, " + ".join(operators), parents)
        child, mutations = mutate(varying, mother, space, rates)
        return Candidate(child, " + ".join(mutations), (mother.key,))

    return draw


def _mutant(search: Search, slot: int) -> Draw:
    selecting = stream(search.seed, "selection", search.generation, slot)
    varying = stream(search.seed, "variation", search.generation, slot)

    def draw() -> Candidate:
        size = search.settings.tournament_size
        (parent,) = tournament(selecting, search.population, 1, size)
        child, mutations = mutate(varying, parent.genome, search.space)
        return Candidate(child, " + ".join(mutations), (parent.genome.key,))

    return draw


def by_score(search: Search) -> Judge | None:
    """What a forest makes of the trainings so far; with several objectives nothing."""
    if len(search.told[0].fitness) > 1 or search.settings.screened < 2:
        return None
    return forest_judge(search.seed, search.told)


# Survivors


def fittest(search: Search, new: Sequence[Member]) -> list[Member]:
    """The best of the old and the new ones; with several objectives by NSGA-II."""
    return best([*search.population, *new], search.settings.population_size)


def youngest(search: Search, new: Sequence[Member]) -> list[Member]:
    """The last ones, whatever they are worth; of one generation, earlier slots are older."""
    lived = [member for member in search.told if not member.failed]
    n = search.settings.population_size
    return best([*lived, *new][-n:], n)


#: ``ga`` is evonet's own. The others are to compare it with, and so draw their first generation at
#: random, all of them the same one. ``aging`` is regularised evolution (Real et al. 2019,
#: https://arxiv.org/abs/1802.01548) with evonet's mutations; with ``--offspring 1`` one is born
#: and one dies at a time, as in the paper. Neither it nor ``tpe`` widens: of more newborns than
#: live at a time, most would never be parents, and a model would not learn for as long.
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "ga": Method(spread, evolved, fittest, judge=by_score),
        "random": Method(at_random, at_random, fittest),
        "aging": Method(at_random, mutated, youngest, widens=False),
        # Fewer attempts: each is a trial that the study keeps.
        "tpe": Method(
            at_random, modelled, fittest, package="optuna", unfit_attempts=50, widens=False
        ),
    }
)

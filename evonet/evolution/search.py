"""The search: a frozen state that asks for genomes and is told how good they are.

``ask`` depends on nothing but the state and the run's seed, so that a state read back from the
record asks for exactly the same genomes as the one that was written. Where genomes come from and
who survives is the method's business (``methods.py``); that none is asked for twice is that of all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

from evonet.evolution.credit import Credit, earned
from evonet.evolution.screening import Judge
from evonet.evolution.selection import Member, hypervolume
from evonet.fitness import WORST, Fitness, front, surpasses
from evonet.genome import Genome, SearchSpace
from evonet.streams import stream

#: Draws before an operator is given up as unable to make an unseen genome here. Untuned.
_ATTEMPTS = 50
#: A space up to this size is walked through before it is called exhausted.
_WALKABLE = 1_000_000


@dataclass(frozen=True)
class SearchSettings:
    """How the search searches; the fields are those of ``RunConfig``."""

    population_size: int
    offspring: int
    tournament_size: int
    crossover_rate: float
    immigrants: float
    screened: int


@dataclass(frozen=True)
class Candidate:
    """A genome to be trained, and where it came from.

    Attributes:
        genome: what to train.
        operator: the operators that made it, joined by " + ".
        parents: keys of the genomes it was made from.
    """

    genome: Genome
    operator: str
    parents: tuple[str, ...] = ()


Draw = Callable[[], Candidate]


class Draws(Sequence[Draw]):
    """The draws of a generation, each made when it is looked at: it may be the only one."""

    def __init__(self, n: int, make: Callable[[int], Draw]) -> None:
        self._n, self._make = n, make

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, slot: int) -> Draw: ...

    @overload
    def __getitem__(self, slot: slice) -> Sequence[Draw]: ...

    def __getitem__(self, slot: int | slice) -> Draw | Sequence[Draw]:
        places = range(self._n)[slot]
        return self._make(places) if isinstance(places, int) else [self._make(i) for i in places]


@dataclass(frozen=True)
class Method:
    """A way to search, as pure functions of a search's state.

    Attributes:
        first: (search, n) to ``n`` draws for a generation that nobody lives before.
        later: (search, n) to ``n`` draws for any other. A draw is called until what it gives has
            not been seen before; draws are called in their order.
        survivors: (search, new members in the order of their slots) to the next population, best
            first, of at most ``population_size``.
        package: what has to be installed for it besides evonet; empty for nothing.
        judge: search to what tells which of several draws promises most; None where the first one
            is as good as any.
        unfit_attempts: draws of genomes that do not fit, after which none is looked for any more.
            Untuned.
        widens: whether a generation may have more candidates where most are given up early.
    """

    first: Callable[[Search, int], Sequence[Draw]]
    later: Callable[[Search, int], Sequence[Draw]]
    survivors: Callable[[Search, Sequence[Member]], Sequence[Member]]
    package: str = ""
    judge: Callable[[Search], Judge | None] = lambda _: None
    unfit_attempts: int = 1_000
    widens: bool = True


@dataclass(frozen=True)
class Search:
    """The state of a search between two generations.

    Attributes:
        space: where genomes come from.
        settings: how it searches.
        method: by what method.
        seed: the run's seed.
        founders: genomes that the first generation starts with.
        generation: number of the generation that is asked for next.
        population: the survivors of the last one, best first.
        told: all that was ever asked for and is known, in order.
        pending: what was asked for and is not known yet; of a search without a barrier.
        front: the Pareto front of all that was told, best score first; the best alone where there
            is one objective.
        reference: the point that hypervolumes are measured from; empty with one objective.
        stalled: generations in a row in which ``progress`` did not grow.
        credits: what each operator has earned.
        fits: whether a genome may be trained at all; what does not fit is drawn again.
        size_of: parameters of a genome's network; of equal scores the smaller one is better.
    """

    space: SearchSpace
    settings: SearchSettings
    method: Method
    seed: int
    founders: tuple[Genome, ...] = ()
    generation: int = 0
    population: tuple[Member, ...] = ()
    told: tuple[Member, ...] = ()
    pending: tuple[Genome, ...] = ()
    front: tuple[Member, ...] = ()
    reference: Fitness = ()
    stalled: int = 0
    credits: Mapping[str, Credit] = field(default_factory=dict)
    fits: Callable[[Genome], bool] = lambda _: True
    size_of: Callable[[Genome], int] = lambda _: 0

    @property
    def seen(self) -> frozenset[str]:
        """Keys of all genomes ever asked for."""
        return frozenset(member.genome.key for member in self.told)

    @property
    def best_fitness(self) -> float:
        """By score, of all that was ever trained; ``WORST`` where nothing succeeded."""
        return self.front[0].fitness[0] if self.front else WORST

    @property
    def hypervolume(self) -> float | None:
        """Of the front; None with one objective."""
        return hypervolume(self.front, self.reference) if self.reference else None

    @property
    def progress(self) -> float:
        """What has to grow: the hypervolume, or with one objective the best fitness."""
        volume = self.hypervolume
        return self.best_fitness if volume is None else volume

    def ask(self, times: int = 1) -> tuple[Candidate, ...]:
        """The candidates of the next generation: all different, none asked for before.

        Args:
            times: so many times as many offspring, where most of them will be given up early.

        Returns:
            Fewer than wanted where the space holds no more, or nothing that fits was found for some
            of them; none, where it is exhausted.
        """
        n_wanted = self.settings.offspring * times
        if not self.population:  # a whole one at first
            n_wanted = self.settings.population_size
        seen = set(self.seen)
        candidates: list[Candidate] = []
        first_spare = max(self.settings.population_size, self.settings.offspring * times)
        judge = self.method.judge(self) if self.population else None
        for slot, draw in enumerate(self._draws(n_wanted)):
            # Where offspring are all known, a random genome; its stream is no other slot's.
            instead = random_draw(self, first_spare + slot)
            candidate = self.unseen((draw, instead), seen, judge)
            if candidate is None and self.space.size <= _WALKABLE:
                candidates.extend(self.walk(seen, wanted=n_wanted - len(candidates)))
                break
            if candidate is None:
                continue
            seen.add(candidate.genome.key)
            candidates.append(candidate)
        return tuple(candidates)

    def tell(self, results: Iterable[tuple[Candidate, Fitness]]) -> Search:
        """The next state.

        Args:
            results: the candidates of ``ask``, each with its fitness.

        Returns:
            The search with the method's survivors for its population. Failed ones do not live.
        """
        results = list(results)
        return self.joined_by(results).after_generation(self, results)

    def joined_by(self, results: Sequence[tuple[Candidate, Fitness]]) -> Search:
        """The search with these told of, and the method's survivors; its generation goes on."""
        new = [
            Member(
                c.genome,
                fitness if fitness[0] > WORST else (WORST,) * len(fitness),
                self.size_of(c.genome),
            )
            for c, fitness in results
        ]
        lived = [member for member in new if not member.failed]
        known = [*self.front, *lived]
        return replace(
            self,
            population=tuple(self.method.survivors(self, lived)),
            told=(*self.told, *new),
            front=tuple(known[i] for i in front([member.fitness for member in known])),
        )

    def after_generation(
        self, before: Search, results: Iterable[tuple[Candidate, Fitness]]
    ) -> Search:
        """The search at the start of the next generation.

        Args:
            before: the search at the start of this one.
            results: all that it was told since then.
        """
        return replace(
            self,
            generation=before.generation + 1,
            credits=earned(before.credits, self._outcomes(results)),
            stalled=0 if self.progress > before.progress else before.stalled + 1,
        )

    def _outcomes(
        self, results: Iterable[tuple[Candidate, Fitness]]
    ) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Of each offspring its operators, and whether no parent is as good or better in all."""
        results = list(results)
        needed = {key for candidate, _ in results for key in candidate.parents}
        known = {m.genome.key: m.fitness for m in self.told if m.genome.key in needed}
        for candidate, value in results:
            if candidate.parents:
                parents = [known[key] for key in candidate.parents]
                yield tuple(candidate.operator.split(" + ")), surpasses(value, parents)

    def _draws(self, n_wanted: int) -> Sequence[Draw]:
        """For each slot of this generation, a function that draws a candidate for it."""
        if self.population:
            return self.method.later(self, n_wanted)
        founders = [given(genome, "founder") for genome in dict.fromkeys(self.founders)]
        return [*founders, *self.method.first(self, max(n_wanted - len(founders), 0))]

    def unseen(
        self, draws: Iterable[Draw], seen: Collection[str], judge: Judge | None
    ) -> Candidate | None:
        """An unseen candidate of the first draw that gives any; None where no draw does.

        Args:
            draws: of which the first one is drawn from several times where there is a judge.
            seen: keys of genomes that are asked for already.
            judge: says which of these promises most.
        """
        for draw in draws:
            n = self.settings.screened if judge else 1
            drawn = self._some_unseen(draw, seen, n)
            if drawn:
                if judge is None:
                    return drawn[0]
                return drawn[int(judge([c.genome for c in drawn]).argmax())]
            judge = None
        return None

    def _some_unseen(self, draw: Draw, seen: Collection[str], n: int) -> list[Candidate]:
        """The first unseen ones of a draw; fewer where it gives no more."""
        found: list[Candidate] = []
        while len(found) < n and (candidate := self._first_unseen(draw, seen)):
            found.append(candidate)
        return found

    def _first_unseen(self, draw: Draw, seen: Collection[str]) -> Candidate | None:
        n_seen = n_unfit = 0
        while n_seen < _ATTEMPTS and n_unfit < self.method.unfit_attempts:
            candidate = draw()
            if not self.fits(candidate.genome):
                n_unfit += 1
            elif candidate.genome.key in seen:
                n_seen += 1
            else:
                return candidate
        return None

    def walk(self, seen: set[str], wanted: int) -> list[Candidate]:
        """The first unseen genomes of a small space, in its own order; now they are seen."""
        found: list[Candidate] = []
        if self.space.size > _WALKABLE:
            return found
        for genome in self.space.enumerate():
            if len(found) >= wanted:
                break
            if genome.key not in seen and self.fits(genome):
                seen.add(genome.key)
                found.append(Candidate(genome, "random"))
        return found


def random_draw(search: Search, slot: int) -> Draw:
    """Draws genomes of the space, every gene on its own, for one slot of this generation."""
    rng = stream(search.seed, "sample", search.generation, slot)
    return lambda: Candidate(search.space.sample(rng), "random")


def given(genome: Genome, operator: str) -> Draw:
    """Gives one genome whenever it is called."""
    return lambda: Candidate(genome, operator)

"""The search: a frozen state that asks for genomes and is told how good they are.

``ask`` depends on nothing but the state and the run's seed, so that a state read back from the
record asks for exactly the same genomes as the one that was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from evonet.evolution.credit import Credit, earned, factors
from evonet.evolution.selection import Member, best, tournament
from evonet.evolution.variation import MUTATIONS, crossover, mutate
from evonet.fitness import WORST
from evonet.genome import Genome, SearchSpace
from evonet.streams import stream

#: Draws before an operator is given up as unable to make an unseen genome here. Untuned.
_ATTEMPTS = 50
#: A space up to this size is walked through before it is called exhausted.
_WALKABLE = 1_000_000
#: Generations without a better best after which immigrants come. Untuned.
_STALLED = 3


@dataclass(frozen=True)
class SearchSettings:
    """How the search searches; the fields are those of ``RunConfig``."""

    method: Literal["ga", "random"]
    population_size: int
    offspring: int
    tournament_size: int
    crossover_rate: float
    immigrants: float


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


@dataclass(frozen=True)
class Search:
    """The state of a search between two generations.

    Attributes:
        space: where genomes come from.
        settings: how it searches.
        seed: the run's seed.
        founders: genomes that the first generation starts with.
        generation: number of the generation that is asked for next.
        population: the survivors of the last one, best first.
        seen: keys of all genomes ever asked for.
        stalled: generations in a row without a better best.
        credits: what each operator has earned.
        fits: whether a genome may be trained at all; what does not fit is drawn again.
    """

    space: SearchSpace
    settings: SearchSettings
    seed: int
    founders: tuple[Genome, ...] = ()
    generation: int = 0
    population: tuple[Member, ...] = ()
    seen: frozenset[str] = frozenset()
    stalled: int = 0
    credits: Mapping[str, Credit] = field(default_factory=dict)
    fits: Callable[[Genome], bool] = lambda _: True

    def ask(self) -> tuple[Candidate, ...]:
        """The candidates of the next generation: all different, none asked for before.

        Fewer than wanted come back where the space holds no more; none, where it is exhausted.
        """
        seen = set(self.seen)
        candidates: list[Candidate] = []
        first_spare = max(self.settings.population_size, self.settings.offspring)
        for slot, draw in enumerate(self._draws()):
            # Where offspring are all known, a random genome; its stream is no other slot's.
            instead = self._immigrant(first_spare + slot)
            candidate = self._first_unseen(draw, seen) or self._first_unseen(instead, seen)
            if candidate is None:
                candidates.extend(self._walk(seen, wanted=self._n_wanted - len(candidates)))
                break
            seen.add(candidate.genome.key)
            candidates.append(candidate)
        return tuple(candidates)

    def tell(self, results: Iterable[tuple[Candidate, float]]) -> Search:
        """The next state.

        Args:
            results: the candidates of ``ask``, each with its fitness.

        Returns:
            The search with the best of its members and the new ones for its population. Failed
            ones do not live.
        """
        results = list(results)
        new = [Member(c.genome, fitness) for c, fitness in results if fitness > WORST]
        population = tuple(best([*self.population, *new], self.settings.population_size))
        improved = bool(population) and (
            not self.population or population[0].fitness > self.population[0].fitness
        )
        return replace(
            self,
            generation=self.generation + 1,
            population=population,
            seen=self.seen | {candidate.genome.key for candidate, _ in results},
            stalled=0 if improved else self.stalled + 1,
            credits=earned(self.credits, self._outcomes(results)),
        )

    def _outcomes(
        self, results: Iterable[tuple[Candidate, float]]
    ) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Of each offspring its operators, and whether it is better than all of its parents."""
        lived = {member.genome.key: member.fitness for member in self.population}
        for candidate, value in results:
            if candidate.parents:
                best_parent = max(lived[key] for key in candidate.parents)
                yield tuple(candidate.operator.split(" + ")), value > best_parent

    @property
    def _n_wanted(self) -> int:
        """Candidates of this generation: a whole population at first, offspring later."""
        return self.settings.offspring if self.population else self.settings.population_size

    def _draws(self) -> list[Callable[[], Candidate]]:
        """For each slot of this generation, a function that draws a candidate for it."""
        if not self.population:
            founders = [_given(genome) for genome in dict.fromkeys(self.founders)]
            n_random = max(self._n_wanted - len(founders), 0)
            if self.settings.method == "random":
                return [*founders, *map(self._immigrant, range(n_random))]
            rng = stream(self.seed, "sample", self.generation)
            spread = [_given(genome, "random") for genome in self.space.spread(rng, n_random)]
            return [*founders, *spread]
        n_immigrants = self._n_wanted if self.settings.method == "random" else 0
        if self.settings.method == "ga" and self.stalled >= _STALLED:
            n_immigrants = round(self.settings.immigrants * self._n_wanted)
        n_offspring = self._n_wanted - n_immigrants
        offspring = [self._offspring(slot) for slot in range(n_offspring)]
        return offspring + [self._immigrant(n_offspring + i) for i in range(n_immigrants)]

    def _immigrant(self, slot: int) -> Callable[[], Candidate]:
        rng = stream(self.seed, "sample", self.generation, slot)
        return lambda: Candidate(self.space.sample(rng), "random")

    def _offspring(self, slot: int) -> Callable[[], Candidate]:
        selecting = stream(self.seed, "selection", self.generation, slot)
        varying = stream(self.seed, "variation", self.generation, slot)
        rates = factors(self.credits, MUTATIONS)

        def draw() -> Candidate:
            mother, father = (
                member.genome
                for member in tournament(
                    selecting, self.population, 2, self.settings.tournament_size
                )
            )
            if mother != father and varying.random() < self.settings.crossover_rate:
                crossed = crossover(varying, mother, father, self.space)
                child, mutations = mutate(varying, crossed, self.space, rates)
                operators, parents = ("crossover", *mutations), (mother.key, father.key)
                return Candidate(child, " + ".join(operators), parents)
            child, mutations = mutate(varying, mother, self.space, rates)
            return Candidate(child, " + ".join(mutations), (mother.key,))

        return draw

    def _first_unseen(self, draw: Callable[[], Candidate], seen: set[str]) -> Candidate | None:
        for _ in range(_ATTEMPTS):
            candidate = draw()
            if candidate.genome.key not in seen and self.fits(candidate.genome):
                return candidate
        return None

    def _walk(self, seen: set[str], wanted: int) -> list[Candidate]:
        """The unseen genomes of a small space, in its own order."""
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


def _given(genome: Genome, operator: str = "founder") -> Callable[[], Candidate]:
    return lambda: Candidate(genome, operator)

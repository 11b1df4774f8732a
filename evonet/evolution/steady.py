"""A search without a barrier: whoever trains asks for one genome at a time, and waits for nobody.

What it asks for depends on the seed and on the order in which it asked and was told, and on nothing
else: told the same again in the same order, it asks for the same. A generation is here what it was
told of since the one before, as many as a search with a barrier trains in one; what goes by
generations (credits, stalls, what candidates must reach on their way) is counted by these.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from evonet.evolution.search import Candidate, Draw, Search, random_draw
from evonet.fitness import Fitness


class SteadySearch:
    """A search that is asked for one candidate and told of one result at a time.

    Attributes:
        search: its state by all that it was told; see ``Search``.
        before: the same at the start of its generation.
        pending: what it asked for and was not told of yet, by genome key, in that order.
        results: what it was told in this generation.
        times: a generation after the first has so many times as many candidates as offspring are
            wanted, where most of them will be given up early.
    """

    def __init__(self, search: Search) -> None:
        """Begin a search.

        Args:
            search: before its first generation.
        """
        self.search = self.before = search
        self.pending: dict[str, Candidate] = {}
        self.results: list[tuple[Candidate, Fitness]] = []
        self.times = 1
        self._first = deque(search.ask())
        self._n_first = len(self._first)
        self._seen: set[str] = set()

    @property
    def size(self) -> int:
        """Candidates of this generation."""
        first = self.search.generation == 0
        return self._n_first if first else self.search.settings.offspring * self.times

    def ask(self) -> Candidate | None:
        """The next candidate, which was never asked for; None where the space holds no more."""
        candidate = self._first[0] if self._first else self._next()
        if candidate is not None:
            self.wait_for(candidate)
        return candidate

    def wait_for(self, candidate: Candidate) -> None:
        """Take a candidate for one that it asked for, as it did before a run was broken off."""
        with suppress(ValueError):
            self._first.remove(candidate)
        self._seen.add(candidate.genome.key)
        self.pending[candidate.genome.key] = candidate

    def tell(self, candidate: Candidate, fitness: Fitness) -> None:
        """Say what came of a candidate that it asked for."""
        del self.pending[candidate.genome.key]
        self.results.append((candidate, fitness))
        self.search = self.search.joined_by([(candidate, fitness)])

    def hear(self, results: Iterable[tuple[Candidate, Fitness]]) -> None:
        """Be told again what it was told before a run was broken off."""
        for candidate, fitness in results:
            self.wait_for(candidate)
            self.tell(candidate, fitness)

    def end_generation(self) -> None:
        """Begin the next generation."""
        self.search = self.before = self.search.after_generation(self.before, self.results)
        self.results = []

    def _next(self) -> Candidate | None:
        """Drawn by the method, for the place in its generation that its number has."""
        number, n = len(self._seen), max(1, self.size)
        pending = tuple(candidate.genome for candidate in self.pending.values())
        # Its random numbers are named by the generation.
        search = replace(self.search, generation=number, pending=pending)
        draws: list[Draw] = [random_draw(search, n)]
        judge = None
        if search.population:
            draws.insert(0, search.method.later(search, n)[number % n])
            judge = search.method.judge(search)
        found = search.unseen(draws, self._seen, judge)
        return found or next(iter(search.walk(set(self._seen), wanted=1)), None)

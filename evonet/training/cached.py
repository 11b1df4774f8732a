"""What stands between a search and what trains: the run's record and the score cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from evonet.evaluation import Evaluation, Request, as_asked, score_key
from evonet.genome import Genome
from evonet.store.cache import ScoreCache
from evonet.store.record import RunRecord
from evonet.store.rows import StoredEvaluation
from evonet.training.evaluator import Evaluator
from evonet.training.slots import Slots


@dataclass(frozen=True)
class CachedEvaluator:
    """Answers from the run's record and the score cache what they know; the rest is trained.

    What is trained is in the record before it is handed on, so that whatever happens next, this run
    never trains it again; and soon in the cache, so that no other one does.

    Attributes:
        inner: trains what is not known.
        record: the run's own record.
        cache: the scores of all runs in the results folder.
        protocol: see ``evaluation.protocol_key``.
        measure: the time a network takes to predict, if evaluations are to have it; a time that is
            known is never measured again.
    """

    inner: Evaluator
    record: RunRecord
    cache: ScoreCache
    protocol: str
    measure: Callable[[Genome], float | None] | None = None

    def evaluate(self, requests: Sequence[Request]) -> Generator[StoredEvaluation, None, None]:
        """What is known at once, then what is trained; every request once.

        Closed before its end, it trains no more, and gives up what worker processes are training.
        """
        unknown = []
        for request in requests:
            if (stored := self.known(request)) is None:
                unknown.append(request)
            else:
                yield stored
        # Now, while no worker trains. Time depends on the genome alone.
        times = {request.genome.key: self._time(request.genome) for request in unknown}
        # Closed here: left to Python, what Ctrl-C raises in it is printed with a traceback.
        with closing(self.inner.evaluate(unknown)) as training:
            for done in training:
                with self.record.together():
                    kept = [self.keep(r, self._timed(e, times[r.genome.key])) for r, e in done]
                yield from kept

    def slots(self) -> CachedSlots:
        """Places to train one request at a time."""
        return CachedSlots(self, self.inner.slots())

    def close(self) -> None:
        """Free what is held for trainings; nothing more is trained."""
        self.cache.flush()
        self.inner.close()

    def known(self, request: Request) -> StoredEvaluation | None:
        """What the record or the cache know of a request; then it is in the record."""
        key = self.key(request)
        stored = self.record.evaluation(key)
        if stored and (stored.genome, stored.repeat) != (request.genome, request.repeat):
            raise self.record.damaged("a training is not the one that was asked for")
        if stored is None and (known := self._cached(key, request)) is not None:
            stored = StoredEvaluation(key, "cached", request.genome, known, request.repeat)
            self.record.add_evaluation(stored)
        return stored

    def keep(self, request: Request, evaluation: Evaluation) -> StoredEvaluation:
        """Write down what a training came to."""
        key, genome = self.key(request), request.genome
        stored = StoredEvaluation(key, "trained", genome, evaluation, request.repeat)
        self.record.add_evaluation(stored)
        if evaluation.status in ("ok", "diverged"):  # other failures may be of this machine
            self.cache.put(stored.score_key, evaluation)
        return stored

    def _cached(self, key: str, request: Request) -> Evaluation | None:
        cached = self.cache.get(key)
        if cached is None or cached.genome_key != request.genome.key:
            return None
        known = as_asked(cached, request.hurdles)
        if known is None or known.inference_ms is not None:
            return known
        return self._timed(known, self._time(request.genome))

    def _timed(self, evaluation: Evaluation, milliseconds: float | None) -> Evaluation:
        """An evaluation with its time, without which it has failed: another machine trained it."""
        if self.measure is None or milliseconds is not None or not evaluation.ok:
            return replace(evaluation, inference_ms=milliseconds)
        reason = "this machine cannot hold the network, whose time of inference is an objective"
        failed = replace(evaluation, status="out_of_memory", reason=reason, score=None)
        return replace(failed, best_epoch=0, dropped=False, folds=())

    def _time(self, genome: Genome) -> float | None:
        return None if self.measure is None else self.measure(genome)

    def key(self, request: Request) -> str:
        """What the request's evaluation is kept under."""
        return score_key(request, self.protocol)


class CachedSlots:
    """Places to train what the record and the cache do not know."""

    def __init__(self, evaluator: CachedEvaluator, inner: Slots[Request, Evaluation]) -> None:
        self._evaluator, self._inner = evaluator, inner
        self._known: deque[StoredEvaluation] = deque()

    @property
    def n_free(self) -> int:
        """Places that have nothing to do; none while something is known that nobody took."""
        return 0 if self._known else self._inner.n_free

    @property
    def n_busy(self) -> int:
        """Requests that did not come back yet."""
        return len(self._known) + self._inner.n_busy

    def submit(self, request: Request) -> None:
        """Train a request, if need be."""
        if (stored := self._evaluator.known(request)) is None:
            self._inner.submit([request])
        else:
            self._known.append(stored)

    @contextmanager
    def next(self) -> Iterator[StoredEvaluation]:
        """The next that is known; it is written down together with what is written inside."""
        done = [] if self._known else self._inner.wait()  # no transaction waits for it
        with self._evaluator.record.together():
            self._known += [self._evaluator.keep(*training) for training in done]
            yield self._known.popleft()

    def close(self) -> None:
        """Give up what is being trained."""
        self._inner.close()

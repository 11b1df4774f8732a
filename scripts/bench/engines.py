"""Jobs that train with evonet's own engines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.arithmetic import first_layer_flops, multiply_adds, training_flops
from bench.data import read_data
from bench.machine import peak_memory, session_memory_mib
from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Evaluation, Request, protocol_key, score_key
from evonet.genome import Genome
from evonet.metrics import choose_metric
from evonet.training.engine import FusedEvaluator
from evonet.training.evaluator import Evaluator, KerasEvaluator
from evonet.training.keras_model import choose_loss

_ENGINES: Mapping[str, type[FusedEvaluator] | type[KerasEvaluator]] = {
    "fused": FusedEvaluator,
    "keras": KerasEvaluator,
}


def make_engine(name: str, dataset: Dataset, budget: Budget) -> Evaluator:
    """The engine "fused" or "keras" for a data set, with its default metric and loss."""
    metric, loss = choose_metric("auto", dataset.target), choose_loss("auto", dataset.target)
    return _ENGINES[name](dataset, metric, loss, budget)


@dataclass(frozen=True)
class Point:
    """Some networks to train on some data.

    Attributes:
        engine: "fused" or "keras".
        data: as ``read_data`` takes it.
        requests: genome (as ``Genome.to_dict`` gives it) and seed of each network.
        budget: epochs and patience.
        generation_size: networks asked for in one call; 0 for all of them.
        again_below_seconds: train them again, with everything warm, where the first time took
            less than this.
    """

    engine: str
    data: Mapping[str, Any]
    requests: Sequence[tuple[Mapping[str, Any], int]]
    budget: tuple[int, int]
    generation_size: int = 0
    again_below_seconds: float = 0.0


def train(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Train every point after the other: what ``_train_point`` returns, for each of them."""
    results = []
    data: Mapping[str, Any] | None = None
    for point in (Point(**p) for p in points):
        if point.data != data:
            data, dataset = point.data, read_data(**point.data)
        results.append(_train_point(point, dataset))
    return {"points": results}


def _train_point(point: Point, dataset: Dataset) -> dict[str, Any]:
    """Seconds of the first and of the second time, operations, memory, evaluations."""
    requests = make_requests(point.requests)
    size = point.generation_size or len(requests)
    engine = make_engine(point.engine, dataset, Budget(*point.budget))
    evaluations: list[Evaluation] = []
    memory = []
    with peak_memory(os.getsid(0)) as peak:
        started = time.perf_counter()
        for i in range(0, len(requests), size):
            for done in engine.evaluate(requests[i : i + size]):
                evaluations += [e for _, e in done]
            memory.append(session_memory_mib(os.getsid(0)))
        seconds = time.perf_counter() - started
        again = None
        if seconds < point.again_below_seconds:
            others = [replace(request, seed=request.seed ^ 1) for request in requests]
            started = time.perf_counter()
            list(engine.evaluate(others))
            again = time.perf_counter() - started
    return {
        "seconds": seconds,
        "again_seconds": again,
        **useful_flops(requests, evaluations, dataset),
        "peak_mib": peak[0],
        "memory_mib": memory,
        "evaluations": [evaluation.to_dict() for evaluation in evaluations],
    }


def make_requests(records: Sequence[tuple[Mapping[str, Any], int]]) -> list[Request]:
    """Requests from genomes as dicts, and seeds."""
    return [Request(Genome.from_dict(genome), seed) for genome, seed in records]


def useful_flops(
    requests: Sequence[Request], evaluations: Sequence[Evaluation], dataset: Dataset
) -> dict[str, int]:
    """Operations of all these trainings: the usual count, and without the inputs' gradient."""
    genomes = {request.genome.key: request.genome for request in requests}
    total = spared = 0
    n_inputs, n_outputs = dataset.n_inputs, dataset.target.n_outputs
    for evaluation in evaluations:
        genome, epochs = genomes[evaluation.genome_key], evaluation.epochs
        products = multiply_adds(genome, n_inputs, n_outputs)
        total += training_flops(products, len(dataset.train), len(dataset.validation), epochs)
        spared += first_layer_flops(genome, n_inputs, len(dataset.train), epochs)
    return {"flops": total, "needed_flops": total - spared}


def keras_scores(
    data: Mapping[str, Any],
    requests: Sequence[tuple[Mapping[str, Any], int]],
    budget: tuple[int, int],
    file: str,
    minutes: float,
) -> dict[str, Any]:
    """Scores of serial Keras, from a file as far as it knows them; the others are added to it.

    Args:
        data: as ``read_data`` takes it.
        requests: genome and seed of each network.
        budget: epochs and patience.
        file: one JSON object on each line; several processes may add to it.
        minutes: start no training after that many.

    Returns:
        A record for each request, with its ``score``, which is None where the training failed; None
        for those there was no time for.
    """
    dataset = read_data(**data)
    engine = make_engine("keras", dataset, Budget(*budget))
    protocol = protocol_key(
        data=dataset.fingerprint,
        rows=[len(dataset.train), len(dataset.validation)],
        prepared=dataset.protocol,
        budget=list(budget),
    )
    known = _known_scores(Path(file))
    stop = time.monotonic() + 60 * minutes
    found = []
    for request in make_requests(requests):
        key = score_key(request, protocol)
        if key not in known and time.monotonic() < stop:
            (((_, evaluation),),) = engine.evaluate([request])
            known[key] = {"key": key, "score": evaluation.score}
            with Path(file).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(known[key]) + "\n")
        found.append(known.get(key))
    return {"scores": found}


def _known_scores(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return {record["key"]: record for record in records}

"""The process of a job: ``python -m bench.child ORDER.json ANSWER.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.engines import keras_scores, train
from bench.evonet_search import evonet_search, warm_up
from bench.fidelity import search
from bench.keras_searches import keras_tuner_quality, optuna_keras
from bench.mlp_search import optuna_mlp
from bench.products import best_product
from bench.references import flaml, reference
from bench.rivals import keras_tuner_search, scikit_learn_search

JOBS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "train": train,
    "keras_scores": keras_scores,
    "best_product": best_product,
    "keras_tuner": keras_tuner_search,
    "scikit_learn": scikit_learn_search,
    "search": search,
    "evonet_search": evonet_search,
    "warm_up": warm_up,
    "keras_tuner_quality": keras_tuner_quality,
    "optuna_keras": optuna_keras,
    "optuna_mlp": optuna_mlp,
    "reference": reference,
    "flaml": flaml,
}


def main(order: Path, answer: Path) -> None:
    """Do what the order says, and write down what comes of it."""
    job = json.loads(order.read_text("utf-8"))
    result = JOBS[job["job"]](**job["arguments"])
    answer.write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

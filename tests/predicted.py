"""The tables that a run's winner predicts for a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from evonet.champion.prediction import predict_file
from evonet.champion.predictor import Predictor


def tables_of(
    predictor: Predictor, file: Path, probabilities: bool = False
) -> Iterator[pd.DataFrame]:
    return (table for table, _ in predict_file(predictor, file, probabilities))

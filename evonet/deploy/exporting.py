"""Export a run's winner: written, loaded again, and compared before it is called done."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evonet.champion.prediction import load_predictor
from evonet.champion.predictor import Predictor
from evonet.champion.winner import Winner
from evonet.deploy.formats import FORMATS, Format, input_names
from evonet.deploy.script_network import Training
from evonet.deploy.signature import Signature, example_rows, signature_of
from evonet.errors import ConfigError, ExportError
from evonet.extras import require
from evonet.store.record import RunRecord
from evonet.training.backend import held_back_stderr, load_keras

#: Most that a probability, or a quantity in standard deviations of the target, may differ: sums in
#: float32 come in another order.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file or folder.
        signature: what goes in and comes out.
        difference: the most by which a prediction differed from the run's own.
        n_rows: rows that were compared.
    """

    path: Path
    signature: Signature
    difference: float
    n_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "path": str(self.path),
            "difference": self.difference,
            "rows": self.n_rows,
            **self.signature.to_dict(),
        }


def export(folder: Path, name: str, output: Path | None = None, ensemble: bool = False) -> Exported:
    """Export the winner of a run, or its ensemble.

    Args:
        folder: the run's folder.
        name: of ``FORMATS``.
        output: the file or folder to write; in the run's folder ``exported`` where it is None. One
            that is there is replaced.
        ensemble: whether the ensemble beside the winner is meant.

    Raises:
        ConfigError: a package is missing, or the format holds no ensemble.
        RecordError: the run has no winner, or no ensemble.
        ExportError: the file cannot be written, or predicts something else than the run does.
    """
    wanted = FORMATS[name]
    _refuse(name, wanted, ensemble)
    predictor = load_predictor(folder, ensemble)
    path = output or folder / "exported" / f"{'ensemble' if ensemble else 'winner'}{wanted.suffix}"
    rows = example_rows(predictor.preparation, np.random.default_rng(0))
    load_keras()
    with held_back_stderr(), warnings.catch_warnings():  # of what libraries say meanwhile
        warnings.simplefilter("ignore")
        _write(wanted, predictor, _training(folder), path)
        found = wanted.predict(predictor, path, rows)
    difference = _difference(predictor, found, rows)
    if not difference <= _TOLERANCE:
        raise ExportError(
            f"{path} predicts something else than the run does, by {difference:.2g}; expected at "
            f"most {_TOLERANCE:g}. Do not use it, and please report this with the genome."
        )
    plain = name in ("savedmodel", "tflite")
    signature = signature_of(predictor, input_names(predictor, plain), name == "tflite")
    return Exported(path, signature, difference, len(rows))


def _refuse(name: str, wanted: Format, ensemble: bool) -> None:
    for package in wanted.needs:
        require(package, f"format {name}", "pass another --format")
    if ensemble and not wanted.ensembles:
        raise ConfigError(f"format {name} holds one network. Leave out --ensemble.")


def _write(wanted: Format, predictor: Predictor, training: Training, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not wanted.suffix:
            shutil.rmtree(path / "1", ignore_errors=True)
        wanted.write(predictor, training, path)
    except OSError as error:
        raise ExportError(f"Cannot write {path}: {error.strerror or error}.") from None


def _difference(predictor: Predictor, found: np.ndarray, rows: object) -> float:
    """The most by which predictions differ; quantities in standard deviations of the target."""
    expected = predictor.predictions(rows)  # type: ignore[arg-type]
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / predictor.target.scale)


def _training(folder: Path) -> Training:
    with RunRecord(folder) as record:
        config, protocol = record.fact("config"), record.fact("protocol")
        winner = Winner.from_dict(record.winners()[-1]["winner"])
    return Training(
        config["data"],
        protocol["loss"],
        winner.budget,
        protocol["prepared"]["class_weight"] == "balanced",
    )

"""Export a run's winner: written, loaded again, and compared before it is called done."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from evonet.champion.prediction import load_predictor
from evonet.champion.predictor import Predictor
from evonet.data.files import Features
from evonet.data.preparation import CategoricalColumn, NumericColumn, Preparation, TablePreparation
from evonet.data.sources import EMBEDDED
from evonet.deploy.formats import FORMATS, Format
from evonet.deploy.script_network import Training
from evonet.deploy.signature import Signature, example_rows, signature_of
from evonet.errors import ConfigError, ExportError
from evonet.extras import require
from evonet.store.record import RunRecord
from evonet.training.backend import held_back_stderr, load_keras
from evonet.training.keras_model import choose_loss

#: Most that a probability, or a quantity in standard deviations of the target, may differ: sums in
#: float32 come in another order.
_TOLERANCE = 1e-4
#: Largest step between numbers of float32, as a share of the standard deviation of a column, that a
#: format may hold the column in: more would be seen in predictions.
_COARSE = 1e-3
#: What a script writes beside itself.
TRAINED = "trained.keras"
_OF_A_SCRIPT = (
    "the same network, trained anew on four fifths of the rows: it predicts a little differently"
)
#: How the names of folders begin in which an export is written.
_BEGUN = ".evonet-"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file or folder.
        signature: what goes in and comes out.
        predicts: whether it has the winner's weights; a script trains a network like it.
        call: lines of Python that predict with it; of a script, the command that runs it.
        difference: the most by which a prediction differed from the run's own.
        n_rows: rows that were compared.
    """

    path: Path
    signature: Signature
    predicts: bool
    call: str
    difference: float
    n_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "path": str(self.path),
            "difference": self.difference,
            "rows": self.n_rows,
            "predicts": self.predicts,
            "call": self.call,
            **self.signature.to_dict(),
        }


def export(folder: Path, name: str, output: Path | None = None, ensemble: bool = False) -> Exported:
    """Export the winner of a run, or its ensemble.

    Args:
        folder: the run's folder.
        name: of ``FORMATS``.
        output: the file or folder to write; in the run's folder ``exported`` where it is None. An
            earlier export is replaced when the new one is written and compared.
        ensemble: whether the ensemble beside the winner is meant.

    Raises:
        ConfigError: a package is missing, the output's name does not suit the format, or the
            format cannot hold the ensemble or a column.
        RecordError: the run has no winner, or no ensemble.
        ExportError: the file cannot be written, or predicts something else than the run does.
    """
    wanted = FORMATS[name]
    _refuse(name, wanted, output, ensemble)
    predictor = load_predictor(folder, ensemble)
    if not wanted.tells_empty:
        _refuse_empty_words(name, predictor.preparation)
    if wanted.as_places:
        _refuse_coarse_numbers(name, predictor.preparation)
    path = output or folder / "exported" / f"{'ensemble' if ensemble else 'winner'}{wanted.suffix}"
    rows = example_rows(predictor.preparation, np.random.default_rng(0))
    training = _training(folder)
    if load_keras().backend.backend() != "tensorflow":
        raise ConfigError(
            "Models are exported with TensorFlow, whatever trained them. Unset KERAS_BACKEND, then "
            "export again."
        )
    try:
        with held_back_stderr(), warnings.catch_warnings():  # of what libraries say meanwhile
            warnings.simplefilter("ignore")
            difference = _write(wanted, predictor, training, path, rows)
    except OSError as error:
        raise ExportError(f"Cannot write {path}: {error.strerror or error}.") from None
    signature = signature_of(predictor, wanted.names(predictor), wanted.as_places)
    if not wanted.predicts:
        signature = replace(signature, outputs={TRAINED: _OF_A_SCRIPT})
    call = _call(wanted, training, path)
    return Exported(path, signature, wanted.predicts, call, difference, len(rows))


def _call(wanted: Format, training: Training, path: Path) -> str:
    if not wanted.predicts:
        data = "" if training.data in EMBEDDED else " DATA"
        return wanted.call.format(path=quote(str(path)), data=data)
    return wanted.call.format(path=repr(str(path)))


def _refuse(name: str, wanted: Format, output: Path | None, ensemble: bool) -> None:
    if output is not None and not output.name.endswith(wanted.suffix):
        better = output.parent / f"{output.stem}{wanted.suffix}"
        raise ConfigError(
            f"format {name} writes {wanted.suffix} files, got {output}; pass --output "
            f"{quote(str(better))}."
        )
    for package in wanted.needs:
        require(package, f"format {name}", "pass another --format")
    if ensemble and not wanted.ensembles:
        raise ConfigError(f"format {name} holds one network. Leave out --ensemble.")


def _refuse_empty_words(name: str, preparation: Preparation) -> None:
    """An exported model takes "" for a missing word."""
    for column in preparation.columns if isinstance(preparation, TablePreparation) else ():
        if isinstance(column, CategoricalColumn) and "" in column.categories:
            raise ConfigError(
                f"Column {column.name!r} holds empty words that are not missing ones, which format "
                f"{name} cannot tell apart. Pass --format python, or make them missing in the data "
                "and run again."
            )


def _refuse_coarse_numbers(name: str, preparation: Preparation) -> None:
    """A format that computes in float32 cannot hold numbers that are far from zero and close by."""
    for column in preparation.columns if isinstance(preparation, TablePreparation) else ():
        if not isinstance(column, NumericColumn):
            continue
        step = float(np.spacing(np.float32(abs(column.mean) + 2 * column.scale)))
        if step > _COARSE * column.scale:
            raise ConfigError(
                f"Column {column.name!r} has numbers around {column.mean:.6g} that differ by some "
                f"{column.scale:.3g}; format {name} holds them only in steps of {step:.3g}. Pass "
                "another --format, or subtract a round number from the column and run again."
            )


def _write(
    wanted: Format, predictor: Predictor, training: Training, path: Path, rows: Features
) -> float:
    """Write, load again and compare in a folder beside the target, and only then replace that.

    Returns:
        The most by which a prediction differs.
    """
    place = path.parent if wanted.suffix else path
    _refuse_foreign(wanted, path)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_BEGUN, dir=place) as folder:
        new, names = Path(folder), wanted.names(predictor)
        written = new / path.name if wanted.suffix else new
        wanted.write(predictor, names, training, written)
        difference = _difference(predictor, wanted.predict(predictor, names, written, rows), rows)
        if not difference <= _TOLERANCE:
            raise ExportError(
                f"What was made for {path} predicts something else than the run does, by "
                f"{difference:.2g}; expected at most {_TOLERANCE:g}. Nothing was written. Please "
                "report this with the genome."
            )
        _replace(new, place)
    return difference


def _refuse_foreign(wanted: Format, path: Path) -> None:
    """Refuse to replace what no export has made."""
    if wanted.suffix and path.is_dir():
        raise ExportError(f"{path} is a folder; expected a file. Pass another --output.")
    is_earlier = (path / "1" / "saved_model.pb").is_file()
    # But for an export that was killed.
    is_empty = path.is_dir() and all(own.name.startswith(_BEGUN) for own in path.iterdir())
    if not wanted.suffix and path.exists() and not is_earlier and not is_empty:
        raise ExportError(
            f"{path} holds something else than a SavedModel; expected an empty folder or an "
            "earlier export. Pass another --output."
        )


def _replace(new: Path, place: Path) -> None:
    """Move everything in a folder into another one, on the same file system."""
    for made in list(new.iterdir()):
        target = place / made.name
        if not target.is_dir():
            made.replace(target)
            continue
        earlier = new / "earlier"  # a folder does not take another one's place in one step
        target.rename(earlier)
        try:
            made.rename(target)
        except BaseException:
            earlier.rename(target)
            raise


def _difference(predictor: Predictor, found: np.ndarray, rows: Features) -> float:
    """The most by which predictions differ; quantities in standard deviations of the target."""
    expected = predictor.predictions(rows)
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / predictor.target.scale)


def _training(folder: Path) -> Training:
    with RunRecord(folder) as record:
        facts, winner = record.facts, record.winners()[-1].winner
    return Training(
        facts.config.data,
        choose_loss(facts.config.loss, facts.data.target),
        winner.budget,
        facts.protocol["prepared"].get("class_weight") == "balanced",
    )

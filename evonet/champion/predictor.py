"""What predicts: preparation, networks and target as plain values, without TensorFlow."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
import pandas as pd

from evonet.champion.ensemble import mixture
from evonet.data.dataset import Part
from evonet.data.files import Features
from evonet.data.preparation import Preparation, row_number
from evonet.data.target import Target
from evonet.errors import DataError, RecordError
from evonet.genome import Genome
from evonet.metrics import Interval, Metric, score, score_interval

NETWORKS_FILE = "networks.npz"

#: What reading a damaged file of arrays raises; NotImplementedError for an unknown compression.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Network:
    """A fitted network: what it is, and its weights in the order of ``keras.Model.get_weights``."""

    genome: Genome
    weights: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Predictor:
    """Networks that predict raw rows: one alone, or the mean of several.

    Attributes:
        preparation: how raw rows become inputs.
        target: what is predicted.
        networks: one at least, all with the same inputs and outputs.
        shares: of each in the mean; they sum to 1.
    """

    preparation: Preparation
    target: Target
    networks: tuple[Network, ...]
    shares: tuple[float, ...] = (1.0,)

    def predictions(self, features: Features) -> np.ndarray:
        """Predictions of raw rows.

        Args:
            features: ``n`` rows, as ``Preparation.transform`` takes them.

        Returns:
            As ``Target.predictions``: ``(n, n_classes)`` float64 probabilities, or ``(n,)`` float64
            in the target's unit.

        Raises:
            DataError: as ``Preparation.transform``; or a row is so far from those of training that
                what a network makes of it is no number.
        """
        found = self.of_inputs(self.preparation.transform(features))
        finite = np.isfinite(found).all(axis=tuple(range(1, found.ndim)))
        if not finite.all():
            place, row = int(finite.argmin()), "some row"
            if isinstance(features, pd.DataFrame):  # an array may be any portion of a file's
                row = f"row {row_number(features, place)}"
            raise DataError(
                f"What the network makes of {row} is too large for a number: its values are far "
                "from those of training. Check its units, and how it spells missing values."
            )
        return found

    def of_inputs(self, x: np.ndarray) -> np.ndarray:
        """The same of prepared rows ``(n, n_inputs)`` float32."""
        from evonet.training.inference import network_outputs  # loads Numba

        n_outputs = self.target.n_outputs
        outputs = [network_outputs(n.genome, n.weights, x, n_outputs) for n in self.networks]
        return mixture([self.target.predictions(o) for o in outputs], self.shares)

    def scores(self, part: Part, metrics: Mapping[str, Metric]) -> dict[str, float | None]:
        """Metrics on some rows, by name; None where a prediction is not finite."""
        predictions = self.of_inputs(part.x)
        return {name: score(m, self.target, part.y, predictions) for name, m in metrics.items()}

    def interval(self, part: Part, metric: Metric, rng: np.random.Generator) -> Interval | None:
        """The 95 % interval of a finite score on some rows."""
        return score_interval(metric, self.target.truth(part.y), self.of_inputs(part.x), rng)


def save_networks(file: Path, networks: Sequence[Network]) -> None:
    """Write the weights of some networks into one file of arrays.

    Raises:
        OSError: it cannot be written.
    """
    arrays = {
        f"{i}.{j}": array
        for i, network in enumerate(networks)
        for j, array in enumerate(network.weights)
    }
    np.savez(file, **arrays)  # type: ignore[arg-type]


def networks_digest(file: Path) -> str:
    """What tells a file of networks from every other one: SHA-256, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(file.read_bytes()).hexdigest()


def load_weights(file: Path, digest: str) -> list[tuple[np.ndarray, ...]]:
    """The weights of the networks that ``save_networks`` wrote. No pickle is ever read.

    Args:
        file: where they are.
        digest: as ``networks_digest`` gave it when they were written.

    Raises:
        RecordError: the file is missing or damaged, or another one than the digest is of.
    """
    found: dict[int, list[np.ndarray]] = {}
    try:
        content = file.read_bytes()
        # As np.load does, but of this one kind of file.
        with np.lib.npyio.NpzFile(io.BytesIO(content), allow_pickle=False) as arrays:
            for name in arrays.files:  # in the order in which they were written
                found.setdefault(int(name.partition(".")[0]), []).append(arrays[name])
    except FileNotFoundError:
        raise RecordError(f"{file} is gone. {_make_again(file)}") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:200]
        raise RecordError(f"{file} is damaged: {reason}. {_make_again(file)}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise foreign_networks(file)
    return [tuple(found[place]) for place in sorted(found)]


def foreign_networks(file: Path) -> RecordError:
    """What is raised where a file of networks is not that of the winner in the record."""
    return RecordError(
        f"{file} is of another run, or of another fit than the winner in the record. "
        f"{_make_again(file)}"
    )


def _make_again(file: Path) -> str:
    return f"Make it again: delete it and run evonet resume {quote(str(file.parent))}"

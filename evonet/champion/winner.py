"""The winner: fitted with a longer budget, scored once on the test part, saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evonet.data.dataset import Dataset
from evonet.errors import TrainingError
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.genome.files import write_genomes
from evonet.metrics import Metric, metrics_of
from evonet.streams import training_seed
from evonet.training.evaluator import attempt, network_score
from evonet.training.keras_model import with_output

MODEL_FILE = "model.keras"
GENOME_FILE = "best_genome.json"


@dataclass(frozen=True)
class Winner:
    """The network a run ends with.

    Attributes:
        genome: what it is.
        search_score: the score that won the search, on the validation part; None without search.
        validation_score: the same metric and part after the final fit.
        test_score: the metric on the test part after the final fit; None if a prediction there is
            not finite, because a row holds numbers far beyond those of training.
        test_scores: every metric of the task on the test part, by name.
        parameters: trainable parameters.
        best_epoch: the epoch of the final fit whose weights were kept, from 1.
        train_loss: mean training loss of each epoch of the final fit.
        validation_loss: validation loss after each epoch of the final fit.
    """

    genome: Genome
    search_score: float | None
    validation_score: float
    test_score: float | None
    test_scores: Mapping[str, float | None]
    parameters: int
    best_epoch: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "genome": self.genome.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Winner:
        """The winner of a record as ``to_dict`` writes it."""
        curves = {name: tuple(record[name]) for name in ("train_loss", "validation_loss")}
        genome = Genome.from_dict(record["genome"], "Winner of the run")
        return cls(**{**record, **curves, "genome": genome})


def crown(
    finalists: Sequence[tuple[Genome, float | None]],
    dataset: Dataset,
    metric: Metric,
    loss: str,
    budget: Budget,
    seed: int,
) -> tuple[Winner, Any]:
    """Fit the first finalist; the next one only where its training fails.

    Args:
        finalists: genomes and their search scores, best first.
        dataset: what to fit and score on. Its test part is used once, for the one that is kept.
        metric: the run's metric.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        seed: the run's seed; the final fit draws other numbers than the search did.

    Returns:
        The winner, and its ``keras.Model`` from prepared features to predictions.

    Raises:
        TrainingError: the final fit of every finalist failed.
    """
    for genome, search_score in finalists:
        training = training_seed(seed, genome.key, repeat=1)
        outcome = attempt(genome, dataset, metric, loss, budget, training)
        fitted = outcome.fitted
        if fitted is None or outcome.score is None:
            continue
        test_scores = {
            name: network_score(fitted.network, dataset, other, dataset.test)
            for name, other in metrics_of(dataset.target).items()
        }
        winner = Winner(
            genome=genome,
            search_score=search_score,
            validation_score=outcome.score,
            test_score=test_scores[metric.name],
            test_scores=test_scores,
            parameters=dataset.parameter_count(genome),
            best_epoch=fitted.best_epoch,
            train_loss=fitted.train_loss,
            validation_loss=fitted.validation_loss,
        )
        return winner, with_output(fitted.network, dataset.target)
    raise TrainingError(
        f"The final fit failed for the best {len(finalists)} genomes ({outcome.reason}). Lower "
        "the learning rates of the search space, or pass a smaller --final-epochs."
    )


def save_winner(folder: Path, winner: Winner, model: Any) -> None:
    """Write ``model.keras`` and ``best_genome.json`` into a run's folder."""
    model.save(folder / MODEL_FILE)
    write_genomes(folder / GENOME_FILE, [("winner", f"evonet run {folder.name}", winner.genome)])

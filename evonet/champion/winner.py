"""The winner: fitted several times, the best fit scored once on the test part, and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evonet.champion.fitting import fit_best, scores_on_test
from evonet.data.dataset import Dataset
from evonet.errors import TrainingError
from evonet.evaluation import Budget, Evaluation
from evonet.genome import Genome
from evonet.genome.files import write_genomes
from evonet.metrics import Metric, half_width, metrics_of
from evonet.streams import training_seed
from evonet.training.keras_model import build_network, with_output

MODEL_FILE = "model.keras"
GENOME_FILE = "best_genome.json"


#: The repeat whose seed the final fit has; those after it are of finalists trained again.
FINAL_REPEAT = 1
#: A search has this many times the trainings of its finalists, if there are more than two.
_SHARE_OF_SEARCH = 6


@dataclass(frozen=True)
class Finalist:
    """A genome that may become the winner.

    Attributes:
        genome: what it is.
        searched: the training that brought it here; None without search.
        repeats: its scores when trained again, None for a training that failed; empty without any.
        on_splits: whether each of these was on another split of the rows.
    """

    genome: Genome
    searched: Evaluation | None = None
    repeats: tuple[float | None, ...] = ()
    on_splits: bool = False

    @property
    def search_score(self) -> float | None:
        """The score that brought it here."""
        return self.searched.score if self.searched else None

    def rank(self, metric: Metric) -> tuple[int, float]:
        """Lower is better: first by failures among the repeats, then by their mean."""
        known = [score for score in self.repeats if score is not None]
        mean = fmean(known) if known else 0.0
        return len(self.repeats) - len(known), -metric.sign * mean


def count_finalists(most: int, repeats: int, n_trainings: int) -> int:
    """How many finalists are trained again: two, or more in a sixth of the search's trainings.

    None where they are not to be trained again.

    Args:
        most: as many as are wanted where the search was long.
        repeats: trainings of each.
        n_trainings: of the search.

    Example:
        >>> [count_finalists(5, 3, n) for n in (16, 50, 70, 1000)]
        [2, 2, 3, 5]
    """
    if not repeats:
        return 0
    return min(most, max(2, n_trainings // (_SHARE_OF_SEARCH * repeats)))


@dataclass(frozen=True)
class Winner:
    """The network a run ends with.

    Attributes:
        genome: what it is.
        search_score: its score in the search, on the validation part; None without search.
        repeats: scores when it was trained again; they chose it among the finalists, None for a
            training that failed.
        validation_score: the same metric and part after the final fit.
        test_score: the metric on the test part after the final fit; None if a prediction there is
            not finite, because a row holds numbers far beyond those of training.
        test_scores: every metric of the task on the test part, by name.
        parameters: trainable parameters.
        best_epoch: the epoch of the final fit whose weights were kept, from 1.
        train_loss: mean training loss of each epoch of the final fit.
        validation_loss: validation loss after each epoch of the final fit.
        on_splits: whether each of ``repeats`` was on another split of the rows.
        n_fits: final fits, of which this is the best on the validation part.
        epochs: most epochs that one of them could take.
    """

    genome: Genome
    search_score: float | None
    repeats: tuple[float | None, ...]
    validation_score: float
    test_score: float | None
    test_scores: Mapping[str, float | None]
    parameters: int
    best_epoch: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    on_splits: bool = False
    n_fits: int = 1
    epochs: int = 0

    @property
    def revalidated_score(self) -> float | None:
        """The mean of its scores when it was trained again; None without any."""
        known = [score for score in self.repeats if score is not None]
        return fmean(known) if known else None

    @property
    def revalidated_half_width(self) -> float | None:
        """Half of the 95 % interval of that mean; None below two scores."""
        known = [score for score in self.repeats if score is not None]
        return half_width(known, of_folds=self.on_splits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "genome": self.genome.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Winner:
        """The winner of a record as ``to_dict`` writes it."""
        curves = {n: tuple(record[n]) for n in ("repeats", "train_loss", "validation_loss")}
        genome = Genome.from_dict(record["genome"], "Winner of the run")
        return cls(**{**record, **curves, "genome": genome})


def crown(
    finalists: Sequence[Finalist],
    dataset: Dataset,
    metric: Metric,
    loss: str,
    budgets: Sequence[Budget],
    seed: int,
    workers: int = 1,
) -> tuple[Winner, Any]:
    """Fit the first finalist; the next one only where its training fails.

    Args:
        finalists: best first.
        dataset: what to fit and score on. Its test part is used once, for the one that is kept.
        metric: the run's metric.
        loss: as ``choose_loss`` returns it.
        budgets: of each final fit; the best on the validation part is kept, see ``best_fit``.
        seed: the run's seed; the final fit draws other numbers than the search did.
        workers: processes that fit at the same time.

    Returns:
        The winner, and its ``keras.Model`` from prepared features to predictions.

    Raises:
        TrainingError: the final fit of every finalist failed.
    """
    metrics = metrics_of(dataset.target)
    for finalist in finalists:
        genome = finalist.genome
        first = training_seed(seed, genome.key, FINAL_REPEAT)
        outcome = fit_best(genome, dataset, metric, loss, budgets, first, workers)
        trained = outcome.fitted
        if trained is None or outcome.score is None:
            continue
        tested = scores_on_test(genome, trained, dataset, metrics, loss)
        winner = Winner(
            genome=genome,
            search_score=finalist.search_score,
            repeats=finalist.repeats,
            validation_score=outcome.score,
            test_score=tested[metric.name],
            test_scores=tested,
            parameters=dataset.parameter_count(genome),
            best_epoch=trained.best_epoch,
            train_loss=trained.train_loss,
            validation_loss=trained.validation_loss,
            on_splits=finalist.on_splits,
            n_fits=len(budgets),
            epochs=max(budget.epochs for budget in budgets),
        )
        network = build_network(genome, dataset.n_inputs, dataset.target.n_outputs)
        network.set_weights(trained.weights)
        return winner, with_output(network, dataset.target)
    raise TrainingError(
        f"The final fit failed for the best {len(finalists)} genomes ({outcome.reason}). Lower "
        "the learning rates of the search space, or pass a smaller --final-epochs."
    )


def save_winner(folder: Path, winner: Winner, model: Any) -> None:
    """Write ``model.keras`` and ``best_genome.json`` into a run's folder."""
    model.save(folder / MODEL_FILE)
    write_genomes(folder / GENOME_FILE, [("winner", f"evonet run {folder.name}", winner.genome)])

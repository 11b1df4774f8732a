"""The winner: fitted several times, the best fit scored once on the test part, and saved."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evonet.champion.ensemble import criterion_on_validation, greedy_shares, mixture
from evonet.champion.fitting import Fit, Fitter, best_fit, fits_of
from evonet.champion.predictor import (
    NETWORKS_FILE,
    Network,
    Predictor,
    networks_digest,
    save_networks,
)
from evonet.data.target import Target
from evonet.errors import TrainingError
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.genome.files import write_genomes
from evonet.metrics import metrics_of, score
from evonet.outcome import FINAL_REPEAT, Ensemble, Finalist, Winner
from evonet.streams import stream, training_seed
from evonet.training.keras_model import build_network, with_output
from evonet.training.trained import Trained

MODEL_FILE = "model.keras"
GENOME_FILE = "best_genome.json"
#: Where they are written before they take the place of others, in the run's folder.
_NEW_FILES = "new_winner"


@dataclass(frozen=True)
class Crowned:
    """A winner with its weights.

    Attributes:
        winner: what the run ends with.
        networks: its network, then those of its ensemble, if it has one.
    """

    winner: Winner
    networks: tuple[Network, ...]


def crown(
    finalists: Sequence[Finalist],
    fitter: Fitter,
    budgets: Sequence[Budget],
    seed: int,
    rivals: Sequence[Fit] = (),
) -> Crowned:
    """Fit the first finalist; the next one only where its training fails.

    Args:
        finalists: one at least, best first.
        fitter: has the data; their test part is used once for each of winner and ensemble.
        budgets: of each final fit; the best on the validation part is kept, see ``best_fit``.
        seed: the run's seed; the final fit draws other numbers than the search did.
        rivals: fits of other networks that may be of the ensemble, best first.

    Raises:
        TrainingError: the final fit of every finalist failed.
    """
    dataset, metric = fitter.dataset, fitter.metric
    for finalist in finalists:
        genome = finalist.genome
        own = fitter.fit_all(fits_of(genome, budgets, final_seed(seed, genome)))
        best = best_fit(own, metric, len(dataset.validation))
        if best.fitted is None or best.score is None:
            continue
        trained, network = best.fitted, Network(genome, tuple(best.fitted.weights))
        alone = _predictor(fitter, [network], [1.0])
        tested = alone.scores(dataset.test, metrics_of(dataset.target))
        interval = None
        if tested[metric.name] is not None:
            interval = alone.interval(dataset.test, metric, stream(seed, "test interval"))
        others = [(genome, outcome) for outcome in own if outcome is not best]
        others += zip([fit.genome for fit in rivals], fitter.fit_all(rivals), strict=True)
        ensemble, networks = _ensemble(
            [
                (g, outcome.fitted)
                for g, outcome in [(genome, best), *others]
                if outcome.fitted is not None and outcome.score is not None
            ],
            fitter,
        )
        winner = Winner(
            genome=genome,
            search_score=finalist.search_score,
            repeats=finalist.repeats,
            validation_score=best.score,
            test_score=tested[metric.name],
            test_interval=interval,
            test_scores=tested,
            parameters=dataset.parameter_count(genome),
            best_epoch=trained.best_epoch,
            train_loss=trained.train_loss,
            validation_loss=trained.validation_loss,
            on_splits=finalist.on_splits,
            n_fits=len(budgets),
            epochs=max(budget.epochs for budget in budgets),
            budget=budgets[own.index(best)],
            ensemble=ensemble,
        )
        return Crowned(winner, (network, *networks))
    raise TrainingError(
        f"The final fit failed for the best {len(finalists)} genomes ({best.reason}). Lower "
        "the learning rates of the search space, or pass a smaller --final-epochs."
    )


def final_seed(seed: int, genome: Genome) -> int:
    """The seed of a genome's first final fit."""
    return training_seed(seed, genome.key, FINAL_REPEAT)


def _ensemble(
    library: Sequence[tuple[Genome, Trained]], fitter: Fitter
) -> tuple[Ensemble | None, list[Network]]:
    """The best mixture of some fitted networks, the winner's first; none where it is the best."""
    dataset, metric = fitter.dataset, fitter.metric
    predictions = [dataset.target.predictions(trained.outputs) for _, trained in library]
    shares = greedy_shares(predictions, criterion_on_validation(dataset, metric, fitter.loss))
    chosen = [i for i, share in enumerate(shares) if share]
    value = score(metric, dataset.target, dataset.validation.y, mixture(predictions, shares))
    if len(chosen) == 1 or value is None:
        return None, []
    networks = [Network(library[i][0], tuple(library[i][1].weights)) for i in chosen]
    kept = [shares[i] for i in chosen]
    tested = _predictor(fitter, networks, kept).scores(dataset.test, metrics_of(dataset.target))
    ensemble = Ensemble(
        genomes=tuple(network.genome for network in networks),
        shares=tuple(kept),
        validation_score=value,
        test_score=tested[metric.name],
        test_scores=tested,
        parameters=sum(dataset.parameter_count(network.genome) for network in networks),
    )
    return ensemble, networks


def _predictor(fitter: Fitter, networks: Sequence[Network], shares: Sequence[float]) -> Predictor:
    data = fitter.dataset
    return Predictor(data.preparation, data.target, tuple(networks), tuple(shares))


def keras_model(network: Network, n_inputs: int, target: Target) -> Any:
    """The ``keras.Model`` of a network from prepared features to predictions."""
    model = build_network(network.genome, n_inputs, target.n_outputs)
    model.set_weights(network.weights)
    return with_output(model, target)


def save_winner(folder: Path, crowned: Crowned, n_inputs: int, target: Target) -> str:
    """Write ``networks.npz``, ``model.keras`` and ``best_genome.json`` into a run's folder.

    They take the place of others when all are written. The networks are the first to do so: who
    is killed there leaves a file whose digest is not that of the winner in the record.

    Returns:
        The digest of ``networks.npz``, for the record.

    Raises:
        OSError: one of them cannot be written.
    """
    new = folder / _NEW_FILES
    new.mkdir(exist_ok=True)
    save_networks(new / NETWORKS_FILE, crowned.networks)
    keras_model(crowned.networks[0], n_inputs, target).save(new / MODEL_FILE)
    genome = crowned.winner.genome
    write_genomes(new / GENOME_FILE, [("winner", f"evonet run {folder.name}", genome)])
    digest = networks_digest(new / NETWORKS_FILE)
    for name in (NETWORKS_FILE, MODEL_FILE, GENOME_FILE):
        (new / name).replace(folder / name)
    shutil.rmtree(new)
    return digest

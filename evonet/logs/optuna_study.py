"""A run as a study of Optuna's: one trial for each candidate, written once.

What a study has no word for (operator, parents, generation, parameters, seconds) is a user
attribute of the trial. https://optuna.readthedocs.io
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from evonet.errors import RecordError
from evonet.evaluation import Evaluation
from evonet.extras import quiet
from evonet.genome import SearchSpace
from evonet.genome.genes import KINDS, Value
from evonet.logs.candidates import Entry, entries, gene_of, hyperparameters
from evonet.logs.optuna_storage import opened, storage_name, without_password
from evonet.store.record import RunRecord

FILE = "optuna.log"


def export_study(folder: Path, storage: str | None, name: str | None) -> dict[str, Any]:
    """Write the candidates of a run as the trials of a study, or those that it does not hold yet.

    Args:
        folder: of the run.
        storage: a file, or a database as SQLAlchemy names it; None for a file in ``folder``.
        name: of the study; None for the run's.

    Returns:
        ``study`` and ``storage`` (their names), how many ``trials`` the study has, and how many of
        them were ``written`` now.

    Raises:
        RecordError: there is no run, the storage cannot be used, or it holds another study of
            that name.
    """
    with RunRecord(folder) as record:
        found = list(entries(record))
        objectives = record.objectives
        space, metric = record.facts.space, record.facts.metric
    first = "maximize" if metric.maximise else "minimize"
    directions = [first] + ["minimize"] * (len(objectives) - 1)
    domains = distributions(space, [hyperparameters(entry.stored.genome) for entry in found])
    trials = [trial_of(entry, objectives, domains) for entry in found]
    place, name = storage_name(storage or str(folder / FILE)), name or folder.resolve().name
    with quiet("optuna"), opened(place) as kept:
        study = optuna.create_study(
            study_name=name, storage=kept, directions=directions, load_if_exists=True
        )
        known = study.get_trials(deepcopy=False)
        same = [direction.name.lower() for direction in study.directions] == directions
        if not same or not _begins(trials, known):
            raise RecordError(
                f"{without_password(place)} holds a study {name!r} that is not of this run alone. "
                "Pass another --study, or another --storage."
            )
        if not known:
            study.set_metric_names([metric.name, *objectives[1:]])
        for trial in trials[len(known) :]:
            study.add_trial(trial)
    return {
        "study": name,
        "storage": without_password(place),
        "trials": len(trials),
        "written": len(trials) - len(known),
    }


def distributions(
    space: SearchSpace, genomes: Iterable[Mapping[str, Value]]
) -> dict[str, BaseDistribution]:
    """What each hyperparameter may be: what its gene may in the space, or was outside of it.

    Args:
        space: of the run.
        genomes: the hyperparameters of all candidates. Founders may lie outside the space.

    Returns:
        A distribution for each hyperparameter that occurs; genes of all layers share theirs.
    """
    values = {name: dict.fromkeys(gene.values) for name, gene in space.genes.items()}
    names: dict[str, None] = {}
    for genome in genomes:
        names |= dict.fromkeys(genome)
        for name, value in genome.items():
            values[gene_of(name)][value] = None
    of_gene = {
        gene: _distribution(gene, list(found), space.genes[gene].values)
        for gene, found in values.items()
    }
    return {name: of_gene[gene_of(name)] for name in names}


def _distribution(gene: str, values: list[Any], of_space: Sequence[Any]) -> BaseDistribution:
    numbers = KINDS[gene].numbers
    if numbers is None:
        return CategoricalDistribution(values)
    low, high = min(values), max(values)
    kind = IntDistribution if numbers is int else FloatDistribution
    return kind(low, high, log=low > 0 and is_even_in_logs(of_space))


def is_even_in_logs(values: Sequence[float]) -> bool:
    """Whether numbers lie more evenly on a logarithmic scale than on a linear one.

    Args:
        values: ascending.

    Example:
        >>> [is_even_in_logs(v) for v in ([16, 64, 256], [0.8, 0.9, 0.95, 0.99], [0, 1, 9])]
        [True, False, False]
    """
    if len(values) < 3 or values[0] <= 0:
        return False
    steps, factors = np.diff(values), np.diff(np.log(values))
    return bool(factors.std() / factors.mean() < steps.std() / steps.mean())


def trial_of(
    entry: Entry, objectives: Sequence[str], domains: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """A candidate as a finished trial.

    One that was dropped is pruned, with the values it had there. Intermediate values are scores
    on the way and at the end, since Optuna compares them with values; with several objectives
    it knows none.

    Args:
        entry: the candidate.
        objectives: fields of an evaluation, the score first.
        domains: the distribution of each hyperparameter.
    """
    e, genes = entry.stored.evaluation, hyperparameters(entry.stored.genome)
    scores = {rung.epoch: rung.score for rung in e.rungs} | {e.epochs: e.score}
    began = datetime.fromtimestamp(entry.began)
    return FrozenTrial(
        number=-1,  # the study gives it one
        trial_id=-1,
        state=_state(e),
        value=None,
        values=[float(getattr(e, name)) for name in objectives] if e.ok else None,
        datetime_start=began,
        datetime_complete=began + timedelta(seconds=e.seconds),
        params=dict(genes),
        distributions={name: domains[name] for name in genes},
        user_attrs=_attributes(entry),
        system_attrs={},
        intermediate_values={
            epoch: score
            for epoch, score in scores.items()
            if score is not None and len(objectives) == 1
        },
    )


def _state(evaluation: Evaluation) -> TrialState:
    if not evaluation.ok:
        return TrialState.FAIL
    return TrialState.PRUNED if evaluation.dropped else TrialState.COMPLETE


def _attributes(entry: Entry) -> dict[str, Any]:
    """What a trial has no field for; what there is nothing to say of is left out."""
    candidate, e = entry.candidate, entry.stored.evaluation
    attributes = {
        "genome": candidate.genome_key,
        "network": str(entry.stored.genome),
        "generation": candidate.generation,
        "slot": candidate.slot,
        "operator": candidate.operator,
        "parents": list(candidate.parents),
        "status": e.status,
        "reason": e.reason,
        "origin": entry.stored.origin,
        "parameters": e.parameters,
        "epochs": e.epochs,
        "best_epoch": e.best_epoch,
        "seconds": e.seconds,
    }
    return {name: value for name, value in attributes.items() if value not in ("", [])}


def _begins(trials: Sequence[FrozenTrial], known: Sequence[FrozenTrial]) -> bool:
    """Whether the trials of a study are the first of these, but for the time of day."""

    def told(trial: FrozenTrial) -> list[object]:
        meant = trial.state, trial.values, trial.params, trial.distributions
        return [*meant, trial.intermediate_values, trial.user_attrs]

    return list(map(told, known)) == list(map(told, trials[: len(known)]))

"""The record of a run as tidy tables. Everything that is shown or plotted starts here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from evonet.fitness import Fitness, best_first, fitnesses, front, surpasses
from evonet.genome import Genome
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES
from evonet.store.record import RunRecord
from evonet.store.rows import StoredEvaluation


def gene_columns(genome: Genome) -> dict[str, Any]:
    """A genome as columns of a table.

    Returns:
        ``layers`` (how many), the network genes, and for each layer gene the values of all
        layers in one text, such as ``units`` "64 32"; numbers also as their mean, which is NaN
        where there are no layers.
    """
    columns: dict[str, Any] = {"layers": len(genome.layers)}
    for name in LAYER_GENES:
        values = [getattr(layer, name) for layer in genome.layers]
        columns[name] = " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
        if KINDS[name].ordered:
            columns[f"mean_{name}"] = float(np.mean(values)) if values else math.nan
    columns.update({name: getattr(genome, name) for name in NETWORK_GENES})
    return columns


def _evaluation_columns(stored: StoredEvaluation) -> dict[str, Any]:
    e = stored.evaluation
    return {
        "score": e.score,
        "status": e.status,
        "dropped": e.dropped,
        "reason": e.reason,
        "origin": stored.origin,
        "epochs": e.epochs,
        "best_epoch": e.best_epoch,
        "parameters": e.parameters,
        "seconds": e.seconds,
        **gene_columns(stored.genome),
    }


def _fitness_of(record: RunRecord) -> dict[str, Fitness]:
    """What selection saw of each genome, by its key."""
    metric, objectives = record.facts.metric, record.objectives
    return {s.genome.key: fitnesses(s.evaluation, metric, objectives) for s in record.evaluations()}


def objectives_table(record: RunRecord) -> pd.DataFrame:
    """One row per training of the search that succeeded, also of a generation cut short.

    Columns: genome (its key), a column for each objective of the run, network (in words).
    """
    objectives = record.objectives
    rows = [
        {
            "genome": stored.genome.key,
            **{name: getattr(stored.evaluation, name) for name in objectives},
            "network": str(stored.genome),
        }
        for stored in record.evaluations()
        if stored.evaluation.ok
    ]
    return pd.DataFrame(rows, columns=["genome", *objectives, "network"])


def front_table(record: RunRecord) -> pd.DataFrame:
    """The Pareto front of ``objectives_table``, best score first; the same columns."""
    table, of_genome = objectives_table(record), _fitness_of(record)
    return table.iloc[front([of_genome[key] for key in table["genome"]])].reset_index(drop=True)


def candidates_table(record: RunRecord) -> pd.DataFrame:
    """One row per candidate of every finished generation: the history of the run.

    Columns: generation, slot, genome, operator, parents, score, status, dropped, reason, origin,
    epochs, best_epoch, parameters, seconds, and the genes (see ``gene_columns``). With several
    objectives also inference_ms, if it is one, and hypervolume, that of the generation.
    """
    objectives = record.objectives
    volumes = {generation.number: generation.hypervolume for generation in record.generations()}
    evaluations = {stored.score_key: stored for stored in record.evaluations()}
    rows = [
        {
            "generation": c.generation,
            "slot": c.slot,
            "genome": c.genome_key,
            "operator": c.operator,
            "parents": " ".join(c.parents),
            **_evaluation_columns(evaluations[c.score_key]),
            "inference_ms": evaluations[c.score_key].evaluation.inference_ms,
            "hypervolume": volumes[c.generation],
        }
        for c in record.candidates()
    ]
    unused = [] if "inference_ms" in objectives else ["inference_ms"]
    unused += [] if len(objectives) > 1 else ["hypervolume"]
    table = pd.DataFrame(rows).drop(columns=unused, errors="ignore")
    # A column is of one type, also where all of its values are missing.
    numbers = {name for name in NETWORK_GENES if KINDS[name].numbers is float}
    numbers |= {"score", "inference_ms", "hypervolume"}
    return table.astype({name: float for name in table.columns if name in numbers})


def operators_table(record: RunRecord) -> pd.DataFrame:
    """One row per operator: offspring it took part in, and what came of them.

    Columns: operator, offspring, better (no parent is as good in every objective), share of these,
    survived (are in the last population).
    """
    history = candidates_table(record)
    if not len(history) or not (history["parents"] != "").any():
        return pd.DataFrame(columns=["operator", "offspring", "better", "share", "survived"])
    value = _fitness_of(record)
    living = {key for key, _ in record.generations()[-1].population}
    rows: dict[str, list[int]] = {}
    for genome, operator, parents in zip(
        history["genome"], history["operator"], history["parents"], strict=True
    ):
        if parents:
            better = surpasses(value[genome], [value[parent] for parent in parents.split()])
            for name in set(operator.split(" + ")):
                counts = rows.setdefault(name, [0, 0, 0])
                counts[0] += 1
                counts[1] += bool(better)
                counts[2] += genome in living
    table = pd.DataFrame(
        [(name, *counts) for name, counts in rows.items()],
        columns=["operator", "offspring", "better", "survived"],
    )
    table.insert(3, "share", table["better"] / table["offspring"])
    return table.sort_values(["share", "operator"], ascending=[False, True], ignore_index=True)


def population_table(record: RunRecord) -> pd.DataFrame:
    """One row per generation and member of its surviving population, best first.

    Columns: generation, rank, genome, and those of the candidate the member once was.
    """
    by_genome = {stored.genome.key: stored for stored in record.evaluations()}
    rows = [
        {
            "generation": generation.number,
            "rank": rank,
            "genome": key,
            **_evaluation_columns(by_genome[key]),
        }
        for generation in record.generations()
        for rank, (key, _) in enumerate(generation.population)
    ]
    return pd.DataFrame(rows)


def choice_shares(population: pd.DataFrame, column: str) -> pd.DataFrame:
    """The share of each value of a choice in each generation.

    Args:
        population: columns generation and ``column``, which may hold several values in one text.
        column: the gene.

    Returns:
        A row per value, the commonest at the end first; a column per generation; NaN where the
        gene has no values, as activations of networks without layers.
    """
    values = population[["generation"]].assign(value=population[column].str.split())
    counts = values.explode("value").value_counts().unstack(fill_value=0)
    counts = counts.reindex(sorted(population["generation"].unique()), fill_value=0)
    shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)
    filled = shares.fillna(0.0)
    order = pd.DataFrame({"end": filled.iloc[-1], "mean": filled.mean()})
    return shares.T.loc[order.sort_values(["end", "mean"], ascending=False, kind="stable").index]


def generations_table(record: RunRecord) -> pd.DataFrame:
    """One row per finished generation.

    Columns: generation, best, median, worst, lower_quartile, upper_quartile (scores of the
    population), trained, cached, dropped, failed (candidates), seconds, hypervolume (NaN with one
    objective).
    """
    population, candidates = population_table(record), candidates_table(record)
    minimised = not record.facts.metric.maximise
    rows = []
    for generation in record.generations():
        scores = population.loc[population["generation"] == generation.number, "score"]
        asked = candidates[candidates["generation"] == generation.number]
        rows.append(
            {
                "generation": generation.number,
                "best": scores.min() if minimised else scores.max(),
                "median": scores.median(),
                "worst": scores.max() if minimised else scores.min(),
                "lower_quartile": scores.quantile(0.25),
                "upper_quartile": scores.quantile(0.75),
                "trained": int((asked["origin"] == "trained").sum()),
                "cached": int((asked["origin"] == "cached").sum()),
                "dropped": int(asked["dropped"].sum()),
                "failed": int((asked["status"] != "ok").sum()),
                "seconds": generation.seconds,
                "hypervolume": generation.hypervolume,
            }
        )
    return pd.DataFrame(rows)


def baselines_table(record: RunRecord) -> pd.DataFrame:
    """One row per baseline; none where the run ended before they were fitted.

    Columns: name, description, validation_score, test_score.
    """
    columns = ["name", "description", "validation_score", "test_score"]
    table = pd.DataFrame([b.to_dict() for b in record.facts.baselines], columns=columns)
    return table.astype({"validation_score": float, "test_score": float})


def curves_table(record: RunRecord, n_best: int = 5) -> pd.DataFrame:
    """Learning curves of the best trainings, and of the winner's final fit.

    Columns: network ("rank 1" is the best, the last one "winner, final fit"), genome (in words),
    score (on the validation part), epoch (from 1), part (training or validation), loss.
    """
    best = best_first(record.evaluations(), record.facts.metric, record.objectives)[:n_best]
    rows: list[dict[str, Any]] = []
    for place, stored in enumerate(best, start=1):
        e = stored.evaluation
        losses = {"training": e.train_loss, "validation": e.validation_loss}
        rows.extend(_curve_rows(f"rank {place}", stored.genome, e.score, losses))
    if winners := record.winners():
        winner = winners[-1].winner
        losses = {"training": winner.train_loss, "validation": winner.validation_loss}
        score = winner.validation_score
        rows.extend(_curve_rows("winner, final fit", winner.genome, score, losses))
    return pd.DataFrame(rows, columns=["network", "genome", "score", "epoch", "part", "loss"])


def _curve_rows(
    network: str, genome: Genome, score: float | None, losses: Mapping[str, Sequence[float]]
) -> Iterator[dict[str, Any]]:
    for part, curve in losses.items():
        for epoch, loss in enumerate(curve, start=1):
            yield {
                "network": network,
                "genome": str(genome),
                "score": score,
                "epoch": epoch,
                "part": part,
                "loss": loss,
            }

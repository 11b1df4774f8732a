"""The tables of the quality benchmark: means over seeds, ranks over data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from bench.arithmetic import mean_interval
from bench.quality import DataSet, Method, Record
from bench.table import Cell, Table

#: Balanced accuracies published by Kadra et al. 2021, "Well-tuned Simple Nets Excel on Tabular
#: Datasets": MLP, MLP with dropout, XGBoost, regularisation cocktail.
PUBLISHED: Mapping[str, tuple[float, float, float, float]] = {
    "adult": (76.89, 78.52, 79.82, 82.44),
    "credit_g": (69.41, 68.10, 68.93, 74.64),
    "vehicle": (83.77, 82.60, 74.97, 82.58),
    "car": (97.44, 99.69, 92.38, 99.59),
    "phoneme": (87.51, 88.39, 87.97, 86.62),
}

#: Times its limit beyond which a search is named; rounding and leaving take the rest. Untuned.
_OVER = 1.1

#: Records of one data set: by method, by seed.
Results = Mapping[str, Mapping[int, Record]]


def by_method(records: Sequence[Record], data: str, methods: Sequence[Method]) -> Results:
    """The records of one data set, with the seeds that every method has been tried on."""
    results = {
        method.name: {r.seed: r for r in records if (r.data, r.method) == (data, method.name)}
        for method in methods
    }
    common = set.intersection(*(set(of_seeds) for of_seeds in results.values()))
    return {name: {seed: some[seed] for seed in sorted(common)} for name, some in results.items()}


def mean_score(of_seeds: Mapping[int, Record], score: str) -> float | None:
    """The mean over all seeds; None if there is none, or one of them has no score."""
    scores = [record.test.get(score) for record in of_seeds.values()]
    known = [s for s in scores if s is not None]
    return fmean(known) if scores and len(known) == len(scores) else None


def mean_ranks(scores: Sequence[Sequence[float | None]]) -> list[float]:
    """Mean rank of each column over the rows; 1 is the highest score, None is behind all others.

    Equal scores share the mean of their ranks (Friedman 1937).

    Example:
        >>> mean_ranks([[0.9, 0.8, None], [0.7, 0.7, 0.9]])
        [1.75, 2.25, 2.0]
    """
    from scipy.stats import rankdata

    worst = [[-np.inf if score is None else score for score in row] for row in scores]
    ranks = rankdata(-np.asarray(worst), axis=1)
    return [float(rank) for rank in ranks.mean(axis=0)]


def ran_over(record: Record) -> bool:
    """Whether a search took clearly longer than its limit."""
    return record.seconds > _OVER * 60 * record.minutes


def data_table(data: DataSet, methods: Sequence[Method], records: Sequence[Record]) -> Table:
    """Scores, trainings and seconds of every method on one data set."""
    results = by_method(records, data.name, methods)
    seeds = list(next(iter(results.values())))
    first, second = data.scores
    title = f"{data.name}: {len(seeds)} seed{'' if len(seeds) == 1 else 's'}"
    if not seeds:
        return Table(title, notes=("Nothing that all rows have been tried on yet.",))
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for method in methods:
        some = results[method.name].values()
        notes += [f"{method.name}, seed {r.seed}: {r.error}" for r in some if r.error]
        ok = [r for r in some if not r.error]
        rows.append(
            (
                method.name,
                _spread([r.test.get(first) for r in ok]),
                _spread([r.test.get(second) for r in ok], interval=False),
                _spread([r.validation for r in ok], interval=False),
                fmean([r.trainings for r in ok]) if ok else None,
                fmean([r.seconds for r in ok]) if ok else None,
                max((r.peak_mib for r in ok), default=None),
                fmean([r.details.get("load", 0.0) for r in ok]) if ok else None,
            )
        )
        if method.kind == "tuner" or method.job == "flaml":
            notes += [
                f"{method.name}, seed {r.seed}: {r.seconds:.0f} of {60 * r.minutes:.0f} s"
                for r in ok
                if ran_over(r)
            ]
    notes += _boosting_note(data, methods, results)
    columns = (
        "search",
        f"test {first} (95 %)",
        f"test {second}",
        f"validation {data.metric}",
        "trainings",
        "seconds",
        "peak MiB",
        "load",
    )
    return Table(title, columns, tuple(rows), tuple(notes))


def rank_table(
    sets: Sequence[DataSet], methods: Sequence[Method], records: Sequence[Record]
) -> Table:
    """Mean rank over the data sets that every method was tried on.

    Among tuners, among tuners where one that ran over its limit is behind those that did not, and
    among all.
    """
    tuners = [method for method in methods if method.kind == "tuner"]
    ranked = [d for d in sets if next(iter(by_method(records, d.name, methods).values()), None)]
    title = f"mean rank of the test score over {len(ranked)} data sets, 1 is best"
    if not ranked:
        return Table(title, notes=("No data set is finished yet.",))

    def ranks(some: Sequence[Method], in_time: bool = False) -> dict[str, float]:
        scores = []
        for data in ranked:
            results = by_method(records, data.name, methods)
            late = {m.name for m in some if any(map(ran_over, results[m.name].values()))}
            means = {m.name: mean_score(results[m.name], data.scores[0]) for m in some}
            scores.append([None if in_time and m in late else mean for m, mean in means.items()])
        return dict(zip([m.name for m in some], mean_ranks(scores), strict=True))

    among_tuners, in_time, among_all = ranks(tuners), ranks(tuners, in_time=True), ranks(methods)
    rows: list[tuple[Cell, ...]] = [
        (m.name, among_tuners.get(m.name), in_time.get(m.name), among_all[m.name]) for m in methods
    ]
    columns = ("search", "among tuners", "... late ones last", "among all")
    note = (
        f"Late: over {_OVER:g} times the limit with any seed; its score had more time than others'."
    )
    return Table(title, columns, tuple(rows), (note,))


def published_table(methods: Sequence[Method], records: Sequence[Record]) -> Table:
    """Balanced accuracies from the literature beside evonet's and the best tuner's."""
    tuners = [method for method in methods if method.kind == "tuner"]
    rows: list[tuple[Cell, ...]] = []
    for data, published in PUBLISHED.items():
        results = by_method(records, data, methods)
        means = {m.name: mean_score(results[m.name], "balanced_accuracy") for m in tuners}
        known = {name: mean for name, mean in means.items() if mean is not None}
        best = max(known, key=lambda name: known[name], default=None)
        rows.append(
            (
                data,
                *(f"{figure:.2f}" for figure in published),
                _percent(known.get("evonet")),
                f"{_percent(known[best])} ({best})" if best else None,
            )
        )
    columns = ("data", "MLP", "with dropout", "XGBoost", "cocktail", "evonet here", "best tuner")
    notes = (
        "Published: Kadra et al. 2021, on other splits; the cocktail after up to 4 days of search.",
    )
    return Table("balanced accuracy, percent, beside published ones", columns, tuple(rows), notes)


def _boosting_note(data: DataSet, methods: Sequence[Method], results: Results) -> list[str]:
    """A sentence where a reference beats every tuner."""
    score = data.scores[0]
    means = [(mean_score(results[m.name], score), m) for m in methods]
    known = [(mean, m) for mean, m in means if mean is not None]
    tuners = [(mean, m.name) for mean, m in known if m.kind == "tuner"]
    others = [(mean, m.name) for mean, m in known if m.kind != "tuner"]
    if not tuners or not others or max(others)[0] <= max(tuners)[0]:
        return []
    (high, winner), (low, loser) = max(others), max(tuners)
    return [f"{winner} wins here: {high:.4f} against {low:.4f} of {loser}, the best tuner."]


def _spread(values: Sequence[float | None], interval: bool = True) -> str | None:
    """The mean of what there is, with its interval where there are two values at least."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = fmean(known)
    if abs(mean) >= 100:
        return f"{mean:,.0f}"
    return str(mean_interval(known)) if interval and len(known) > 1 else f"{mean:.4f}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2f}"

"""Targets that a plain score or a plain loss does not suit."""

from __future__ import annotations

import numpy as np

from evonet.advice.evidence import Evidence
from evonet.advice.finding import Finding
from evonet.phrases import percent

#: A commonest class so many times as large as the rarest rules the accuracy. Untuned.
_UNEVEN = 10
#: Outer fences are so many interquartile ranges away (Tukey 1977, Exploratory Data Analysis).
_FENCE = 3
#: Values beyond them count for much from this share of all squares on. Untuned.
_WEIGHTY = 0.1


def find_unlabelled(evidence: Evidence) -> list[Finding]:
    """Rows without a target."""
    n = evidence.checked.n_unlabelled
    if not n:
        return []
    return [
        Finding(
            "unlabelled",
            "notable",
            f"{evidence.target} is missing in {n:,} of {n + evidence.n_rows:,} rows.",
            "Nothing can be learned from them; evonet leaves them out by itself.",
            "If it is not missing by chance, scores hold for rows like the others alone.",
            figures={"rows": n},
        )
    ]


def find_imbalance(evidence: Evidence) -> list[Finding]:
    """Classes of which one is many times as common as another."""
    if not evidence.is_class or evidence.config.metric not in ("auto", "accuracy"):
        return []
    counts = evidence.labels.value_counts()
    counts = counts[counts > 0]  # of a Categorical, classes that no row has are counted too
    common, rare = int(counts.iloc[0]), int(counts.iloc[-1])
    if common < _UNEVEN * rare:
        return []
    n = len(evidence.labels)
    return [
        Finding(
            "imbalance",
            "serious",
            f"{str(counts.index[0])[:40]!r} is {percent(common / n)} of {evidence.target}, "
            f"{str(counts.index[-1])[:40]!r} {percent(rare / n)} ({rare:,} of {n:,} rows outside "
            "the test part).",
            f"Who always says the commonest class has an accuracy of {common / n:.3f}, and never "
            "finds the rare one.",
            "Let classes count alike: in the score, and by --class-weight auto then in the loss.",
            ("--metric", "balanced_accuracy"),
            figures={"commonest": common / n, "rarest": rare / n, "rarest_rows": rare},
        )
    ]


def find_outliers(evidence: Evidence) -> list[Finding]:
    """A quantity of which a few values count for much of the squared error."""
    if evidence.is_class or evidence.config.loss in ("huber", "mae"):
        return []
    values = evidence.labels.to_numpy(dtype=np.float64)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    half = "half"
    if low == high:  # most are the same, as of claims, of which most are none
        others = values[values != middle]
        if not len(others):
            return []
        low, high = np.quantile(others, [0.25, 0.75])
        half = f"half of those that are not {middle:,.6g}"
    reach = _FENCE * (high - low)
    outside = ((values < low - reach) | (values > high + reach)) & (values != middle)
    squares = (values - values.mean()) ** 2
    if not outside.any() or squares[outside].sum() < _WEIGHTY * squares.sum():
        return []
    weight = float(squares[outside].sum() / squares.sum())
    n = int(outside.sum())
    farthest = values[np.abs(values - middle).argmax()]
    return [
        Finding(
            "outliers",
            "notable",
            f"{n:,} of {len(values):,} values of {evidence.target} ({percent(n / len(values))}) "
            f"lie far out, such as {farthest:,.6g} where {half} lie from {low:,.6g} to "
            f"{high:,.6g}; they make {percent(weight)} of the squared deviation.",
            "A squared loss looks mostly at them.",
            "Let them count less, and judge by an error that does; or predict the logarithm.",
            ("--loss", "huber", "--metric", "mae"),
            figures={"outliers": n, "share_of_squares": weight},
        )
    ]

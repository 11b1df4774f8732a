"""Columns that give the target away: known only after it, or made of it.

That a column tells much is no proof; people know when it was written down. So a column is named
where it tells nearly everything, or where it tells far more than all others together, or where
the mere presence of a value decides (Kaufman et al. 2012, Leakage in Data Mining,
https://doi.org/10.1145/2382577.2382579, who call such values illegitimate; the rules are ours).
"""

from __future__ import annotations

import numpy as np

from evonet.advice.columns import N_FOLDS, Column, explained
from evonet.advice.evidence import Evidence
from evonet.advice.finding import Finding
from evonet.phrases import drops, percent
from evonet.streams import stream

#: A column that tells so much by itself leaves nothing to predict. Untuned.
_NEARLY_ALL = 0.95
#: A column that tells less is no suspect, whatever the others tell. Untuned.
_MUCH = 0.5
#: Of the rows that chance would give other classes, so many must be expected where there are none.
_EXPECTED = 20
#: ... and at most this share of them is there. Untuned.
_EXCEPTIONS = 0.01
#: Rows on which the others are asked what they tell together. Untuned.
_MOST_ROWS = 5_000


def find_leaks(evidence: Evidence) -> list[Finding]:
    """Columns that tell nearly all, or far more than all others, of the target."""
    findings = []
    for name, told in sorted(evidence.told.items(), key=lambda item: -item[1]):
        if told < _MUCH:
            break
        if told >= _NEARLY_ALL:
            findings.append(_leak(evidence, name, told, None))
            continue
        best_other = max((t for n, t in evidence.told.items() if n != name), default=0.0)
        if _is_matched(told, best_other):
            continue  # one other is enough, which spares asking all of them
        others = max(told_by_others(evidence, name), best_other, 0.0)
        if not _is_matched(told, others):
            findings.append(_leak(evidence, name, told, others))
    return findings


def _is_matched(told: float, others: float) -> bool:
    """Whether others leave less than twice as much open as a column does."""
    return 1 - others < 2 * (1 - told)


def _leak(evidence: Evidence, name: str, told: float, others: float | None) -> Finding:
    target = evidence.target
    rest = "" if others is None else f", all other columns together {percent(others)}"
    figures = {"told": told} if others is None else {"told": told, "told_by_others": others}
    return Finding(
        "leak",
        "serious",
        f"{name[:40]!r} alone tells {percent(told)} of what is uncertain about {target}{rest}.",
        "If it is written down after the outcome, or made of it, every score flatters, and new "
        "rows will not have it.",
        "Leave it out unless it is known when you predict.",
        drops([name]),
        (name,),
        figures,
    )


def told_by_others(evidence: Evidence, name: str) -> float:
    """How much all columns but one tell of the target together, measured as ``share_told`` does.

    By extremely randomised trees (Geurts et al. 2006, https://doi.org/10.1007/s10994-006-6226-1)
    on the columns' bins, which need no preparation.
    """
    others = [c.bins for n, c in evidence.columns.items() if n != name and c.n_distinct > 1]
    if not others:
        return 0.0
    rng = stream(evidence.config.seed, "advice", slot=1)
    n_known = len(evidence.known)
    drawn = np.sort(rng.permutation(n_known)[:_MOST_ROWS])
    x = np.stack(others, axis=1)[evidence.known[drawn]]
    y, folds = evidence.outcome[drawn], evidence.folds[drawn]
    seed = int(rng.integers(2**31))
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    left = before = 0.0
    for fold in range(N_FOLDS):
        fit, rest = folds != fold, folds == fold
        if not rest.any():
            continue
        if not evidence.is_class:
            trees = ExtraTreesRegressor(50, min_samples_leaf=3, random_state=seed)
            guess = trees.fit(x[fit], y[fit]).predict(x[rest])
            left += float(np.sum((y[rest] - guess) ** 2))
            before += float(np.sum((y[rest] - y[fit].mean()) ** 2))
            continue
        n_classes = int(evidence.outcome.max()) + 1
        prior = (np.bincount(y[fit], minlength=n_classes) + 1) / (fit.sum() + n_classes)
        forest = ExtraTreesClassifier(50, min_samples_leaf=3, random_state=seed)
        p = np.zeros((int(rest.sum()), n_classes))
        forest.fit(x[fit], y[fit])
        p[:, forest.classes_] = forest.predict_proba(x[rest])
        p = (50 * p + prior) / 51  # as if one more tree said what is true of all rows
        left -= float(np.log(p[np.arange(len(p)), y[rest]]).sum())
        before -= float(np.log(prior[y[rest]]).sum())
    return explained(left, before)


def find_outcome_marks(evidence: Evidence) -> list[Finding]:
    """Columns that have a value (or none) only where the outcome is one class."""
    if not evidence.is_class:
        return []
    classes = list(evidence.labels.unique())  # in the order of the outcome's indices
    share = np.bincount(evidence.outcome) / len(evidence.outcome)
    findings = []
    for column in evidence.columns.values():
        missing = column.missing[evidence.known]
        for where, rows in (("given", ~missing), ("missing", missing)):
            if not rows.any() or rows.all():
                continue
            found = np.bincount(evidence.outcome[rows], minlength=len(share))
            top = int(found.argmax())
            expected, others = rows.sum() * (1 - share[top]), rows.sum() - found[top]
            if expected >= _EXPECTED and others <= _EXCEPTIONS * expected:
                findings.append(_mark(evidence, column, where, str(classes[top]), found, expected))
                break
    return findings


def _mark(
    evidence: Evidence, column: Column, where: str, label: str, found: np.ndarray, expected: float
) -> Finding:
    n, others = int(found.sum()), int(found.sum() - found.max())
    all_of_them = f"all {n:,} rows" if others == 0 else f"{n - others:,} of {n:,} rows"
    return Finding(
        "outcome mark",
        "serious",
        f"Where {column.name[:40]!r} is {where}, {evidence.target} is {label[:40]!r} in "
        f"{all_of_them} outside the test part; by chance {expected:,.0f} would be another.",
        "A value that only one outcome leaves behind is known too late to predict with.",
        "Leave it out unless it is known when you predict.",
        drops([column.name]),
        (column.name,),
        {"rows": n, "other_classes": others, "expected": float(expected)},
    )

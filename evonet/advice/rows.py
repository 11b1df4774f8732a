"""Rows that occur twice, and rows whose order tells of the target."""

from __future__ import annotations

import math

import numpy as np

from evonet.advice.evidence import Evidence, is_identifier
from evonet.advice.finding import Finding
from evonet.phrases import listed, percent

#: From this share of a part on, rows that were seen in training move its score. Untuned.
_MANY = 0.01
#: Neighbours are alike from here on: 0 is a random order, 1 a sorted one. Untuned.
_ALIKE = 0.2
#: ... by so many standard errors.
_ERRORS = 5


def find_duplicates(evidence: Evidence) -> list[Finding]:
    """Rows of the validation and test parts that also stand in an earlier part."""
    groups, split = evidence.row_groups, evidence.checked.split
    sizes = np.bincount(groups)
    pairs = float((sizes * (sizes - 1.0)).sum() / 2)
    by_chance = _pairs_by_chance(evidence)
    if pairs == 0 or pairs <= 2 * by_chance + 6 * math.sqrt(by_chance):
        return []
    before = {"validation": split.train, "test": evidence.known}
    again = {
        name: np.isin(groups[rows], groups[before[name]])
        for name, rows in (("validation", split.validation), ("test", split.test))
    }
    shares = {name: float(found.mean()) for name, found in again.items()}
    if not any(shares.values()):
        return []
    parts = " and ".join(
        f"{found.sum():,} of {len(found):,} {name} rows ({percent(shares[name])})"
        for name, found in again.items()
        if found.any()
    )
    aside = [c.name for c in evidence.columns.values() if is_identifier(c)]
    but = f", but for {listed(aside)}," if aside else ""
    alike = _same_target(evidence)
    agree = "" if alike is None else f"; {percent(alike)} of equal rows have equal targets"
    return [
        Finding(
            "duplicates",
            "serious" if max(shares.values()) >= _MANY and not aside else "notable",
            f"{parts} stand{but} in an earlier part too{agree}.",
            "If they are the same case twice, a network that knows it by heart is rewarded for it.",
            "Remove repeated rows from the table first; keep them where different cases are alike.",
            figures={f"{name}_rows": int(found.sum()) for name, found in again.items()} | shares,
        )
    ]


def _same_target(evidence: Evidence) -> float | None:
    """Share of equal rows whose targets are equal too, outside the test part; None without any."""
    groups = evidence.row_groups[evidence.known]
    order = np.argsort(groups, kind="stable")
    equal = np.diff(groups[order]) == 0
    same = np.diff(evidence.outcome[order]) == 0
    return float(same[equal].mean()) if equal.any() else None


def _pairs_by_chance(evidence: Evidence) -> float:
    """Pairs of equal rows to expect of columns that have nothing to do with each other."""
    n = evidence.n_rows
    if not evidence.is_table:
        return 0.0
    equal = 1.0
    for column in evidence.columns.values():
        if not is_identifier(column):
            n_missing = int(column.missing.sum())
            equal *= float(((column.counts / n) ** 2).sum() + (n_missing / n) ** 2)
    return n * (n - 1) / 2 * equal


def find_order(evidence: Evidence) -> list[Finding]:
    """Rows whose neighbours have the same class, or a target much like theirs."""
    outcome = evidence.outcome
    if outcome.min() == outcome.max():
        return []
    before, after = outcome[:-1], outcome[1:]
    if evidence.is_class:
        by_chance = float(((np.bincount(outcome) / len(outcome)) ** 2).sum())
        same = float((before == after).mean())
        alike = (same - by_chance) / (1 - by_chance)  # Cohen's kappa
        is_sorted = int((before != after).sum()) == int(outcome.max())
    else:
        alike = float(np.corrcoef(before, after)[0, 1])
        is_sorted = bool((np.diff(outcome) >= 0).all() or (np.diff(outcome) <= 0).all())
    if not is_sorted and alike < max(_ALIKE, _ERRORS / math.sqrt(len(before))):
        return []
    target = evidence.target
    if is_sorted:
        seen = f"The rows are sorted by {target}."
        why = "evonet draws its parts at random, so that it does no harm here."
        advice = "Where another tool takes the last rows for its test, shuffle them first."
    else:
        what = "the same class" if evidence.is_class else "much the same value"
        seen = (
            f"Neighbouring rows have {what} of {target} more often than chance: {alike:.2f}, "
            "where 0 is a random order and 1 a sorted one."
        )
        why = (
            "Rows that belong together (of one place, person or day) come into several parts of a "
            "random split; scores then flatter."
        )
        advice = (
            "Keep whole groups, or the latest rows, out of the table, and see how the winner does "
            "on them with evonet predict."
        )
    return [Finding("order", "notable", seen, why, advice, figures={"alike": alike})]

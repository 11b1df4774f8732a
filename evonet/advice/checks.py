"""The checks of data, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from evonet.advice.control import Control, shuffled_control
from evonet.advice.evidence import Evidence
from evonet.advice.finding import Finding
from evonet.advice.leaks import find_leaks, find_outcome_marks
from evonet.advice.rows import find_duplicates, find_order
from evonet.advice.table import (
    find_constants,
    find_dates,
    find_identifiers,
    find_missing,
    find_texts,
)
from evonet.advice.target import find_imbalance, find_outliers, find_unlabelled
from evonet.config import RunConfig
from evonet.data.dataset import CheckedData, read_checked


@dataclass(frozen=True)
class Check:
    """A check of the data.

    Attributes:
        find: what it finds.
        serious: whether it may find what is serious; ``evolve`` begins with such checks.
    """

    find: Callable[[Evidence], list[Finding]]
    serious: bool


#: By name, in the order in which findings are shown.
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "leak": Check(find_leaks, serious=True),
        "outcome mark": Check(find_outcome_marks, serious=True),
        "duplicates": Check(find_duplicates, serious=True),
        "imbalance": Check(find_imbalance, serious=True),
        "outliers": Check(find_outliers, serious=False),
        "unlabelled": Check(find_unlabelled, serious=False),
        "identifier": Check(find_identifiers, serious=False),
        "texts": Check(find_texts, serious=False),
        "dates": Check(find_dates, serious=False),
        "order": Check(find_order, serious=False),
        "missing": Check(find_missing, serious=False),
        "constant": Check(find_constants, serious=False),
    }
)


@dataclass(frozen=True)
class DataCheck:
    """What is odd about data.

    Attributes:
        evidence: the data, and what was computed of them.
        findings: the serious ones first.
        control: what shuffled labels scored, if that was asked for.
    """

    evidence: Evidence
    findings: tuple[Finding, ...]
    control: Control | None = None

    @property
    def is_serious(self) -> bool:
        """Whether scores of a run may mislead."""
        leaks = self.control is not None and self.control.leaks
        return leaks or any(finding.severity == "serious" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        checked, split = self.evidence.checked, self.evidence.checked.split
        told = self.evidence.told
        return {
            "data": checked.raw.name,
            "target": str(checked.raw.labels.name),
            "task": checked.task,
            "how": checked.how,
            "rows": [len(split.train), len(split.validation), len(split.test)],
            "columns": [
                {
                    "name": column.name,
                    "kind": column.kind,
                    "distinct": column.n_distinct,
                    "missing": column.missing_share,
                    "told": told[column.name],
                }
                for column in self.evidence.columns.values()
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "control": self.control.to_dict() if self.control else None,
        }


def check_data(config: RunConfig, n_shuffles: int = 0) -> DataCheck:
    """Read the data of a run and say what is odd about them.

    Args:
        config: the settings of the run; its search and training do not matter.
        n_shuffles: how often labels are shuffled for a control; 0 for none.

    Raises:
        DataError: the data cannot be read, or cannot be learned from.
    """
    checked = read_checked(config)
    evidence = Evidence(checked, config)
    found = [f for check in CHECKS.values() for f in check.find(evidence)]
    found.sort(key=lambda finding: finding.severity != "serious")  # which keeps the order else
    control = shuffled_control(checked, config, n_shuffles) if n_shuffles else None
    return DataCheck(evidence, tuple(found), control)


def serious_findings(checked: CheckedData, config: RunConfig) -> tuple[Finding, ...]:
    """What a run should begin with: the findings that make its scores mislead."""
    evidence = Evidence(checked, config)
    found = [f for check in CHECKS.values() if check.serious for f in check.find(evidence)]
    return tuple(f for f in found if f.severity == "serious")

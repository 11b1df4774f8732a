"""What a check of the data says, line by line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from evonet.config import RunConfig, flag_of
from evonet.phrases import percent, shortened

#: Columns that are listed; ``--json`` has all.
_MOST_COLUMNS = 20

Line = tuple[str, str]


def check_lines(check: Mapping[str, Any], config: RunConfig) -> list[Line]:
    """What ``DataCheck.to_dict`` says, as (line, style) pairs.

    Args:
        check: the check.
        config: the settings it was made with.
    """
    train, validation, test = check["rows"]
    lines: list[Line] = [
        (
            f"Data      {check['data']}: {train} training, {validation} validation, {test} test "
            f"rows; {check['task']}",
            "bold",
        ),
        (f"          {check['how']}", ""),
    ]
    if check["columns"]:
        lines += [("", ""), *_column_lines(check["columns"])]
    for finding in check["findings"]:
        lines += [("", ""), *_finding_lines(finding)]
    if check["control"]:
        lines += [("", ""), *_control_lines(check["control"])]
    return [*lines, ("", ""), *_end(check["findings"], config)]


def _column_lines(columns: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The columns that tell most first."""
    first = sorted(columns, key=lambda column: -column["told"])[:_MOST_COLUMNS]
    header = (
        f"          {'column':<32}{'holds':<9}{'distinct':>10}{'missing':>10}{'tells alone':>14}"
    )
    rows = [
        f"          {shortened(c['name'], 30):<32}{c['kind']:<9}{c['distinct']:>10,}"
        f"{percent(c['missing']):>10}{percent(max(c['told'], 0.0)):>14}"
        for c in first
    ]
    if left := len(columns) - len(first):
        rows.append(f"          ... and {left:,} more, which tell less; --json has them")
    return [(header, "bold"), *((row, "") for row in rows)]


def _finding_lines(finding: Mapping[str, Any]) -> list[Line]:
    serious = finding["severity"] == "serious"
    lines = [
        (f"{'Serious' if serious else 'Note':<10}{finding['seen']}", "yellow" if serious else ""),
        (f"          {finding['why']}", ""),
    ]
    if finding["advice"]:
        lines.append((f"          {finding['advice']}", ""))
    if finding["command"]:
        lines.append((f"          {finding['command']}", ""))
    return lines


def _control_lines(control: Mapping[str, Any]) -> list[Line]:
    scored = (
        f"On shuffled labels trees score {control['mean']:.3f} ± {control['half_width']:.3f} "
        f"({control['measure']}, 95 %, {len(control['scores'])} shuffles), a constant "
        f"{control['chance']:.1f}"
    )
    if control["leaks"]:
        why = "labels or rows of one part come into another, in the split or the preparation."
        return [(f"Control   {scored}: better than chance, so that {why}", "yellow")]
    return [(f"Control   {scored}: nothing leaks in the split or the preparation.", "")]


def _end(findings: Sequence[Mapping[str, Any]], config: RunConfig) -> list[Line]:
    """What was found in all, and the command with all serious advice."""
    serious = [f for f in findings if f["severity"] == "serious"]
    if not findings:
        return [("Nothing odd was found.", "green")]
    advised = dict.fromkeys(tuple(finding["flags"]) for finding in serious)
    flags = [word for some in advised for word in some]
    words = ["evonet", "evolve", "--data", config.data, *_passed(config, flags), *flags]
    count = f"{len(serious)} serious, {len(findings) - len(serious)} to know."
    if not any(finding["flags"] for finding in findings):
        return [(count, "")]
    if not any(finding["flags"] for finding in serious):
        return [(f"{count} Nothing was changed: add the flags that you agree with.", "")]
    return [
        (
            f"{count} Nothing was changed. With the serious advice, to which you may add:",
            "",
        ),
        (f"Next      {shlex.join(words)}", ""),
    ]


def _passed(config: RunConfig, advised: Sequence[str]) -> list[str]:
    """The flags of settings that are not what they are by default, but for the data.

    Args:
        config: the settings.
        advised: flags that take the place of those of the same names; columns left out add up.
    """
    changed = config.model_dump(mode="json", exclude_defaults=True, exclude={"data"})
    return [
        word
        for name, value in changed.items()
        if name == "drop" or flag_of(name) not in advised
        for one in (value if isinstance(value, list) else [value])
        for word in (flag_of(name), str(one))
    ]

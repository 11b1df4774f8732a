"""The section of how the winner learned: what `evonet diagnose` finds."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from evonet.diagnosis.finding import Finding
from evonet.diagnosis.layers import COLUMNS, LayerHealth
from evonet.page.blocks import Section, Table, Text, brief
from evonet.page.view import View

#: Of deeper networks the first layers are listed.
_MOST_LAYERS = 20


def health_section(view: View) -> Section | None:
    """Verdicts on the winner's learning, its layers and its errors."""
    diagnosis = view.diagnosis
    if diagnosis is None and view.winner is None:
        return None
    if diagnosis is None:
        why = (
            "To say how the network learned takes its data, which a live page does not read, and a "
            "report cannot once they are gone. Where they are, this says it: evonet diagnose "
        )
        return Section("Health of the winner", why + quote(str(view.record.folder)), ())
    wrong = [finding for finding in diagnosis.findings if not finding.fine]
    blocks = [Text(_said(finding), "warning") for finding in wrong]
    if not wrong:
        blocks.append(Text("Nothing stands out: there is nothing to mend.", "good"))
    return Section(
        "Health of the winner",
        "How the network learned, what its layers and its errors look like, on its training and "
        "validation part; the test part was not looked at again.",
        (*blocks, _verdicts(diagnosis.findings), _layers(diagnosis.layers)),
    )


def _said(finding: Finding) -> str:
    return f"{finding.topic[0].upper()}{finding.topic[1:]}: {finding.verdict}. {finding.advice}"


def _verdicts(findings: Sequence[Finding]) -> Table:
    return Table(
        ("looked at", "verdict", "the rule and its numbers"),
        tuple((f.topic, brief(f.verdict), brief(f.rule, 400)) for f in findings),
        "All verdicts, and the rules they were drawn from",
        "lll",
        folded=True,
    )


def _layers(layers: Sequence[LayerHealth]) -> Table:
    left_out = len(layers) - _MOST_LAYERS
    more = f"; {left_out} more are in evonet diagnose --json" if left_out > 0 else ""
    return Table(
        COLUMNS,
        tuple(layer.cells() for layer in layers[:_MOST_LAYERS]),
        "Layers: gradients in lengths of the weights (mean ± spread over batches), units that give "
        f"0 for every row, spread of the weights{more}",
        "lrlrrrr",
        folded=True,
    )

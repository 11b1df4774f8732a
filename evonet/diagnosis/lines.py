"""A diagnosis as lines of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from evonet.diagnosis.diagnosis import Diagnosis
from evonet.diagnosis.finding import Finding
from evonet.diagnosis.layers import COLUMNS, LayerHealth

_WIDTH = 110
_INDENT = " " * 10
#: Of deeper networks the first and the last layers are listed.
_MOST_LAYERS = 20


def diagnosis_lines(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """What is printed, as (line, style) pairs."""
    yield f"Network   {diagnosis.network}", "bold"
    yield f"{_INDENT}On its training and validation part; the test part is not looked at again.", ""
    yield "", ""
    for finding in diagnosis.findings:
        yield from _finding_lines(finding)
    for line in _layer_lines(diagnosis.layers):
        yield line, ""
    yield "", ""


def _finding_lines(finding: Finding) -> Iterator[tuple[str, str]]:
    """A verdict, its rule, and what to do."""
    heading = f"{finding.topic[0].upper()}{finding.topic[1:]}: {finding.verdict}"
    yield heading, "bold green" if finding.fine else "bold yellow"
    for text, indent in ((finding.rule, ""), (f"→ {finding.advice}", "  ")):
        kept = text.replace(" %", "\N{NO-BREAK SPACE}%")
        for line in textwrap.wrap(kept, _WIDTH - len(_INDENT), subsequent_indent=indent):
            yield _INDENT + line.replace("\N{NO-BREAK SPACE}", " "), ""
    yield "", ""


def _layer_lines(layers: Sequence[LayerHealth]) -> Iterator[str]:
    """A table of the layers."""
    widths = (10, 7, 12, 24, 8, 9, 9)

    def row(cells: Sequence[str]) -> str:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
        return "".join(padded).rstrip()

    yield row(COLUMNS)
    half = _MOST_LAYERS // 2
    shown = layers if len(layers) <= _MOST_LAYERS else (*layers[:half], *layers[-half:])
    for own in shown:
        yield row(own.cells())
    if len(shown) < len(layers):
        yield f"{len(layers) - len(shown)} layers between them are left out; --json has them."

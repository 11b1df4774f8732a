"""The sections of a page by name, in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from evonet.page.blocks import Section
from evonet.page.sections_effort import failures_section, operators_section, time_section
from evonet.page.sections_family import family_section
from evonet.page.sections_genes import (
    genes_section,
    importance_section,
)
from evonet.page.sections_health import health_section
from evonet.page.sections_outcome import (
    advice_section,
    result_section,
    trust_section,
)
from evonet.page.sections_parallel import parallel_section
from evonet.page.sections_search import (
    curves_section,
    fitness_section,
    front_section,
)
from evonet.page.sections_setup import data_section, protocol_section
from evonet.page.view import View

#: To add a section: its function here; None where the run has nothing of the kind. Names are the
#: addresses of sections within a page.
SECTIONS: Mapping[str, Callable[[View], Section | None]] = MappingProxyType(
    {
        "result": result_section,
        "trust": trust_section,
        "next": advice_section,
        "health": health_section,
        "data": data_section,
        "fitness": fitness_section,
        "front": front_section,
        "importance": importance_section,
        "genes": genes_section,
        "parallel": parallel_section,
        "family": family_section,
        "curves": curves_section,
        "operators": operators_section,
        "failures": failures_section,
        "time": time_section,
        "protocol": protocol_section,
    }
)


def sections_of(view: View) -> dict[str, Section]:
    """What a run has to show, by name."""
    found = {name: make(view) for name, make in SECTIONS.items()}
    return {name: section for name, section in found.items() if section is not None}

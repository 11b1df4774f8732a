"""Sections of genes: which of them matter, and how they went on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from evonet.genome.genes import KINDS, LAYER_GENES
from evonet.page.blocks import WIDE, Block, Chart, Section, Table, Text, chart
from evonet.page.charts_genes import (
    draw_choice,
    draw_effects,
    draw_ordered,
)
from evonet.page.charts_outcome import Bar, draw_bars
from evonet.page.charts_search import grid
from evonet.page.view import View
from evonet.report.importance import LEAST, Analysis
from evonet.sentences import score_text

#: Genes whose effects are drawn, and pairs that are named. Untuned.
_EFFECTS, _PAIRS = 6, 3
#: A forest that foretells less of the unseen is not to be trusted. Untuned.
_TRUST = 0.1


def importance_section(view: View) -> Section | None:
    """How much each gene matters."""
    if not view.points or not view.searched:
        return None
    title = "Which genes matter"
    analysis = view.analysis
    if analysis is None:
        few = (
            f"It takes {LEAST} trainings that differ in their scores to say which genes matter; "
            f"so far there are {len(view.points)}."
        )
        return Section(title, few, ())
    blocks: list[Block] = [_shares_chart(analysis), _effects_chart(analysis)]
    blocks.append(_method(analysis, view.analysed_epoch))
    if analysis.trust < _TRUST:
        doubt = (
            "Do not trust this yet: the model behind it foretells next to nothing of "
            f"networks it has not seen (R² {analysis.trust:.2f}). More trainings will tell."
        )
        blocks.insert(0, Text(doubt, "warning"))
    return Section(
        title,
        "What to look at when you choose a network yourself, and where another search should have "
        "more values.",
        tuple(blocks),
    )


def _shares_chart(analysis: Analysis) -> Chart:
    """How much each gene explains alone, with the genes as a table."""
    bars = [
        Bar(
            i.genes[0],
            i.share,
            f"{i.share:.0%}",
            i.low,
            i.high,
            tip=(
                f"{i.genes[0]} alone\nexplains {i.share:.0%} of the differences ({i.low:.0%} to "
                f"{i.high:.0%})"
            ),
        )
        for i in analysis.genes
    ]
    together = 1 - sum(i.share for i in analysis.genes)
    pairs = [
        f"{' and '.join(i.genes)} ({i.share:.0%})"
        for i in analysis.pairs[:_PAIRS]
        if i.share >= 0.01
    ]
    top = analysis.genes[0]
    return chart(
        f"{top.genes[0]} alone explains {top.share:.0%} of the differences between networks",
        lambda width: draw_bars(
            bars,
            "share of the variance of ranks",
            "How much of the differences each gene explains alone.",
            width,
        ),
        (("bar blue", "explained by the gene alone"), ("whisker", "middle half of the trees")),
        f"The other {max(together, 0):.0%} are genes that act together, and chance"
        + (f", most of all {', '.join(pairs)}" if pairs else "")
        + ".",
        _shares_table(analysis),
    )


def _shares_table(analysis: Analysis) -> Table:
    return Table(
        ("gene", "alone", "lower quartile", "upper quartile", "best value", "its expected place"),
        tuple(
            (
                i.genes[0],
                f"{i.share:.1%}",
                f"{i.low:.1%}",
                f"{i.high:.1%}",
                *_best_value(analysis.effects[i.genes[0]]),
            )
            for i in analysis.genes
        ),
        "The genes as a table",
        "lrrrlr",
        folded=True,
    )


def _best_value(effect: Sequence[tuple[Any, float]]) -> tuple[str, str]:
    value, rank = max(effect, key=lambda pair: pair[1])
    return (f"{value:g}" if isinstance(value, float) else str(value), f"{rank:.0%}")


def _effects_chart(analysis: Analysis) -> Chart:
    """What the values of the most important genes are worth."""
    shown = [i.genes[0] for i in analysis.genes[:_EFFECTS]]
    ranks = [rank for name in shown for _, rank in analysis.effects[name]]
    pad = 0.1 * (max(ranks) - min(ranks)) or 0.05
    limits = (min(ranks) - pad, max(ranks) + pad)
    panels = [(partial(draw_effects, name, analysis.effects[name], limits), 180) for name in shown]
    return chart(
        "What their values are worth",
        lambda width: grid(
            panels,
            width,
            3 if width == WIDE else 1,
            "Expected place of networks for each value of the most important genes.",
        ),
        (("orange", "best value"),),
        "The place among all networks that is expected for a value (100 % is the best, 0 % "
        "the worst), over all values of the other genes.",
    )


def _method(analysis: Analysis, epoch: int | None) -> Text:
    """How it was found, and where that ends."""
    stage = "when their training ended" if epoch is None else f"after epoch {epoch}"
    limit = (
        "those that were given up on their way are left out."
        if epoch is None
        else "more epochs may rank them otherwise."
    )
    return Text(
        "How this was found: a random forest was fitted to the ranks of "
        f"{analysis.networks:,} networks {stage}, and its variance over the space split up into "
        "genes (functional ANOVA; Hutter, Hoos & Leyton-Brown 2014). It foretells "
        f"{max(analysis.trust, 0):.0%} of the differences between networks it has not seen. "
        "Its limits: genes of layers are summed up over the layers; a gene that some networks "
        "leave unused, as those of adam do weight_decay, also stands for what makes it unused; a "
        f"search tries mostly what seems good, so that the rest is known badly; and {limit}",
        "note",
    )


def genes_section(view: View) -> Section | None:
    """The genes of the population over the generations."""
    if not len(view.population):
        return None
    charts = (_numbers_chart(view), _choices_chart(view))
    return Section(
        "Genes over the generations",
        "What the population settled on. A band that narrows means that one value won; a line at "
        "the edge of its picture may want to go beyond the space.",
        (*(drawn for drawn in charts if drawn is not None), _population_table(view)),
    )


def _varying(view: View, ordered: bool) -> dict[str, list[Any]]:
    """The values of the genes that have several: of those that are numbers, or of the others."""
    return {
        name: values
        for name, values in view.space.items()
        if len(values) > 1 and KINDS[name].ordered == ordered
    }


def _numbers_chart(view: View) -> Chart:
    """Genes that are numbers, by generation."""
    panels = []
    for name, values in _varying(view, ordered=True).items():
        column = f"mean_{name}" if name in LAYER_GENES else name
        mean = ", mean of the layers" if name in LAYER_GENES else ""
        log = (
            isinstance(values[-1], int | float)
            and float(values[0]) > 0
            and float(values[-1]) > 20 * float(values[0])
        )
        title = f"{name}{mean}{' (log)' if log else ''}"
        panels.append((partial(draw_ordered, title, view.population, column, log), 170))
    sizes = partial(draw_ordered, "parameters (log)", view.population, "parameters", True)
    panels.append((sizes, 170))
    return chart(
        "Numbers",
        lambda width: grid(
            panels, width, 3 if width == WIDE else 1, "Genes that are numbers, by generation."
        ),
        (
            ("line blue", "median of the population"),
            ("area blue", "its middle half"),
            ("area blue light", "smallest to largest"),
            ("line dashed orange", "best network"),
        ),
    )


def _choices_chart(view: View) -> Chart | None:
    """Genes that are names, by generation; None where the space has none."""
    panels = []
    for name, values in _varying(view, ordered=False).items():
        of = "layers" if name in LAYER_GENES else "networks"
        draw = partial(draw_choice, f"{name}, share of {of}", view.population, name)
        panels.append((draw, 40 + 20 * len(values)))
    if not panels:
        return None
    panels.sort(key=lambda panel: -panel[1])
    return chart(
        "Choices",
        lambda width: grid(
            panels, width, 2 if width == WIDE else 1, "Genes that are names, by generation."
        ),
        (("bar blue", "darker is more; the number is the share at the end"),),
        "From the first generation on the left to the last on the right.",
    )


def _population_table(view: View) -> Table:
    """The last population, best first."""
    table = view.population
    last = table[table["generation"] == table["generation"].max()]
    rows = tuple(
        (
            str(r["rank"] + 1),
            score_text(r["score"]),
            str(r["layers"]),
            str(r["units"]) or "-",
            str(r["optimizer"]),
            f"{r['learning_rate']:g}",
            str(r["batch_size"]),
        )
        for r in last.head(50).to_dict("records")
    )
    return Table(
        ("rank", view.metric_words, "layers", "units", "optimizer", "learning rate", "batch size"),
        rows,
        "The last population as a table",
        "rrrlrrr",
        folded=True,
    )

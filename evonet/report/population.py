"""The genes of a population over the generations: a tidy table and a figure in; nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from evonet.report.look import (
    BLUE,
    GREY,
    MAX_MARKERS,
    ORANGE,
    band,
    finish,
    generation_limits,
    legend,
    log_axis,
    plain,
    title,
)
from evonet.report.tables import choice_shares

#: The ordered genes: column, title, and base of a logarithmic axis or 0.
_ORDERED = (
    ("layers", "Hidden layers", 0),
    ("mean_units", "Units, mean of the layers (log)", 2),
    ("mean_dropout", "Dropout rate, mean of the layers", 0),
    ("learning_rate", "Learning rate (log)", 10),
    ("batch_size", "Batch size in rows (log)", 2),
    ("parameters", "Trainable parameters (log)", 10),
)
#: The choices: column and title.
_CHOICES = (
    ("optimizer", "Optimizer, share of networks"),
    ("activation", "Activation, share of layers"),
    ("initializer", "Initializer, share of networks"),
)


def plot_population(population: pd.DataFrame, figure: Figure) -> None:
    """How the genes of the population change over the generations, a panel for each gene.

    Args:
        population: one row per generation and member; columns generation, rank (0 is the best),
            layers, mean_units, mean_dropout, learning_rate, batch_size, parameters, optimizer,
            activation, initializer.
        figure: where to draw.
    """
    grid = figure.subplots(3, 3)
    for axes, (column, heading, base) in zip(grid[:2].flat, _ORDERED, strict=True):
        _draw_ordered(population, column, axes, base)
        title(axes, heading)
    for axes, (column, heading) in zip(grid[2], _CHOICES, strict=True):
        _draw_choice(choice_shares(population, column), axes)
        title(axes, heading)
    legend(
        figure,
        "Genes of the population, generation by generation",
        [
            Line2D([], [], color=ORANGE, marker="D", markersize=4, ls=":", label="best network"),
            Line2D([], [], color=BLUE, linewidth=2, label="median of the population"),
            Patch(color=BLUE, alpha=0.37, linewidth=0, label="its middle half"),
            Patch(color=BLUE, alpha=0.12, linewidth=0, label="smallest to largest"),
        ],
    )


def _draw_ordered(population: pd.DataFrame, column: str, axes: Axes, base: int) -> None:
    """Median, middle half and range of a gene, and the best network's value."""
    values = population[["generation", "rank", column]].dropna()
    if values.empty:
        axes.set_axis_off()
        axes.text(0, 0.5, "no network has layers", transform=axes.transAxes, color=GREY)
        return
    shares = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    quantiles = values.groupby("generation")[column].quantile(shares).unstack()
    generations, n_generations = quantiles.index.to_series(), len(quantiles)
    band(axes, generations, quantiles[0.0], quantiles[1.0], alpha=0.12)
    band(axes, generations, quantiles[0.25], quantiles[0.75], alpha=0.25)
    sns.lineplot(
        quantiles[0.5],
        ax=axes,
        estimator=None,
        color=BLUE,
        linewidth=2,
        marker="s" if n_generations == 1 else None,
    )
    sns.lineplot(
        data=values[values["rank"] == 0],
        x="generation",
        y=column,
        ax=axes,
        estimator=None,
        color=ORANGE,
        linestyle=":",
        marker="D" if n_generations <= MAX_MARKERS else None,
        markersize=4,
    )
    if base:
        log_axis(axes, values[column].min(), values[column].max(), base)
    elif pd.api.types.is_integer_dtype(values[column]):
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_ylabel("")
    generation_limits(axes, population["generation"])
    finish(axes, "generation")


def _draw_choice(shares: pd.DataFrame, axes: Axes) -> None:
    """A map of shares, a row per value and a column per generation, the last share beside it."""
    if shares.empty:
        axes.set_axis_off()
        axes.text(0, 0.5, "no network has layers", transform=axes.transAxes, color=GREY)
        return
    sns.heatmap(
        shares,
        ax=axes,
        vmin=0,
        vmax=1,
        cmap=sns.light_palette(BLUE, as_cmap=True),
        cbar=False,
        xticklabels=False,
        yticklabels=[plain(value, 24) for value in shares.index],
        rasterized=True,  # hundreds of generations would be thousands of shapes
    )
    axes.hlines(range(1, len(shares)), *axes.get_xlim(), color="white", linewidth=2)
    for row, share in enumerate(shares.iloc[:, -1].fillna(0.0)):
        axes.annotate(
            f"{share:.0%}",
            xy=(1, row + 0.5),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    generations = [int(generation) for generation in shares.columns]
    locator = MaxNLocator(6, integer=True)
    ticks = locator.tick_values(generations[0], generations[-1])
    shown = [int(tick) for tick in ticks if tick in generations]
    axes.set_xticks([generations.index(g) + 0.5 for g in shown], [str(g) for g in shown])
    axes.tick_params(axis="y", rotation=0, length=0)
    axes.set_ylim(max(len(shares), 4), 0)  # few rows are not blown up
    axes.spines["bottom"].set_position(("data", len(shares)))
    axes.set_xlabel("generation")
    axes.set_ylabel("")

"""Sections of what a run began with: its problem and data, and its protocol."""

from __future__ import annotations

from evonet.data.preparation import ImagePreparation, NumericColumn, Preparation
from evonet.genome.genes import KINDS
from evonet.page.blocks import Block, Section, Table, Text, Tile, Tiles, brief
from evonet.page.view import View
from evonet.sentences import goal_line

#: Columns described of wide data.
_MOST_ROWS = 200

_METHODS = {
    "ga": "genetic algorithm",
    "random": "random search",
    "aging": "regularised evolution",
    "tpe": "TPE",
}
_GIVING_UP = {
    "auto": "where early scores foretell late ones: after a sixteenth or a quarter of the epochs",
    "on": "after a sixteenth or a quarter of its epochs, unless among the best quarter",
    "off": "never",
}


def data_section(view: View) -> Section | None:
    """The problem and the data."""
    data, target = view.data, view.data.target
    train, validation, test = data.rows
    name = brief(target.name, 60)
    classes = [brief(c, 40) for c in target.classes]
    if classes:
        shown = ", ".join(classes[:12]) + (
            f" and {len(classes) - 12} more" if len(classes) > 12 else ""
        )
        lead = (
            f"The network is to tell which of {len(classes)} classes a row has in '{name}': "
            f"{shown}."
        )
    else:
        lead = f"The network is to predict the quantity '{name}'."
    blocks: list[Block] = [
        Tiles(
            (
                Tile("rows to learn from", f"{train:,}", "training part"),
                Tile("rows to choose by", f"{validation:,}", "validation part"),
                Tile("rows kept for the end", f"{test:,}", "test part, used in no choice"),
                Tile("inputs", f"{data.n_inputs:,}", "numbers that the network takes"),
            )
        ),
        *(Text(brief(f"{f.seen} {f.why} {f.advice}", 600), "warning") for f in data.advice),
        *(Text(brief(note, 400), "note") for note in data.notes),
    ]
    columns = _columns(data.preparation)
    if columns is not None:
        blocks.append(columns)
    return Section("Problem and data", lead, tuple(blocks))


def _columns(preparation: Preparation) -> Block | None:
    """How each column is prepared."""
    if isinstance(preparation, ImagePreparation):
        shape = " x ".join(map(str, preparation.shape))
        return Text(f"Images of {shape}, divided by {preparation.scale:g}.")
    columns = preparation.columns
    rows = []
    for column in columns[:_MOST_ROWS]:
        if isinstance(column, NumericColumn):
            said = (
                f"mean {column.mean:.4g}, standard deviation {column.scale:.4g}; missing "
                f"values become {column.fill:.4g}"
            )
        else:
            words = ["missing" if c is None else brief(c, 24) for c in column.categories]
            more = f" and {len(words) - 8} more" if len(words) > 8 else ""
            said = f"{len(words)} categories: {', '.join(words[:8])}{more}"
        rows.append((brief(column.name, 60), column.kind, said))
    left = f"; the first {_MOST_ROWS} of them" if len(columns) > _MOST_ROWS else ""
    return Table(
        ("column", "kind", "what it holds, in the training part"),
        tuple(rows),
        f"The {len(columns)} columns the network learns from{left}",
        "lll",
        folded=True,
    )


def protocol_section(view: View) -> Section | None:
    """How scores come about."""
    space = tuple(
        (
            name,
            KINDS[name].level,
            ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values),
        )
        for name, values in view.space.items()
    )
    settings = tuple((k, brief(v)) for k, v in view.config.to_dict().items() if v is not None)
    return Section(
        "How the search was done",
        "What the scores mean, and what it takes to repeat them.",
        (
            Table(("", ""), _protocol(view), "Protocol", "ll"),
            Table(
                ("gene", "of each", "values"),
                space,
                "The search space: the values each gene may take",
                "lll",
                folded=True,
            ),
            Table(
                ("setting", "value"),
                settings,
                "All settings; config.toml in the run's folder has them too",
                "ll",
                folded=True,
            ),
        ),
    )


def _protocol(view: View) -> tuple[tuple[str, str], ...]:
    """The protocol: what it is about, and what holds for it."""
    config = view.config
    folds, epochs = config.folds, config.epochs
    used = max((p.stored.evaluation.epochs for p in view.points), default=0)
    method = _METHODS[config.method]
    return (
        ("goal", goal_line(view.metric, view.objectives).removeprefix("Goal").strip()),
        ("method", method if view.searched else "none: one genome was given"),
        (
            "candidates are scored on",
            f"cross-validation with {folds} folds: a score is the mean over them"
            if folds
            else "the validation part, which no network learns from",
        ),
        (
            "epochs of a candidate",
            f"at most {epochs}" if epochs else f"by the number of rows: at most {used} were used",
        ),
        ("giving up early", _GIVING_UP[config.fidelity]),
        (
            "the winner",
            f"the best of up to {config.finalists} finalists, each trained again "
            f"{config.repeats} times; then fitted {config.final_fits} times, "
            "the best on the validation part kept",
        ),
        ("the test part", "scores the winner once, and takes part in no choice"),
        ("seed", str(config.seed)),
        ("why it ended", brief(view.result.reason or "it has not ended", 200)),
    )

"""Sections of what a run came to: its result, what that is worth, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from evonet.outcome import Winner
from evonet.page.advice import advice
from evonet.page.blocks import (
    Block,
    Chart,
    Section,
    Steps,
    Table,
    Text,
    Tile,
    Tiles,
    Tone,
    brief,
    chart,
)
from evonet.page.charts_outcome import Score, draw_network, draw_scores
from evonet.page.view import View
from evonet.report.words import interval_text
from evonet.sentences import fits_text, score_text, time_text, verdict_lines

_TONES: dict[str, Tone] = {"green": "good", "yellow": "warning"}
#: How often the winner was scored, by the rows of its scores.
_TIMES = {2: "twice", 3: "three times", 4: "four times"}


def result_section(view: View) -> Section | None:
    """The winner beside the baselines, in numbers to take away."""
    rows = _scores(view)
    if not rows:
        return Section("Result", "Nothing is trained yet.", (_tiles(view),))
    blocks: list[Block] = [_tiles(view), _scores_chart(view, rows)]
    if view.winner is not None:
        blocks.append(_network_chart(view, view.winner))
    return Section("Result", "What came out, next to what it has to beat.", tuple(blocks))


def _scores(view: View) -> list[Score]:
    """The winner, or the best so far, and the baselines; with a winner on the test part."""
    winner, result = view.winner, view.result
    rows = []
    if winner is not None:
        tested, validated = winner.test_score, winner.validation_score
        rows.append(Score("winner", tested, winner.test_interval, "orange", validated))
        if (ensemble := winner.ensemble) is not None:
            scores = ensemble.test_score, None, "orange", ensemble.validation_score
            rows.append(Score(str(ensemble), *scores))
    elif view.ranked:
        rows.append(Score("best so far", view.ranked[0].score, None, "orange"))
    for b in result.baselines:
        values = (b.test_score, b.validation_score) if winner else (b.validation_score, None)
        rows.append(Score(brief(b.name, 40), values[0], None, "blue", values[1]))
    return rows


def _scores_chart(view: View, rows: Sequence[Score]) -> Chart:
    """The scores of a result as a picture, with a table of all of them."""
    winner, part = view.winner, "test" if view.winner else "validation"
    legend = [("orange", "winner" if winner else "best so far"), ("blue", "baseline")]
    if winner is not None:
        legend.append(("hollow", "the same on the validation part"))
        if winner.test_interval is not None:
            legend.append(("interval", "95 % interval"))
    return chart(
        f"{view.metric_words[0].upper()}{view.metric_words[1:]} on the {part} part",
        lambda width: draw_scores(
            rows,
            f"{view.metric_words}{view.unit}, {view.better}",
            "Scores of the winner and of the baselines.",
            width,
        ),
        tuple(legend),
        "Baselines are models that took no search: a constant answer, a linear model, and the "
        "network most tutorials build. A winner is worth its search if it beats them.",
        _score_table(view),
    )


def _score_table(view: View) -> Table:
    """Winner, ensemble and baselines: what they are, and their scores on both parts."""
    winner = view.winner
    rows = []
    if winner is not None:
        scores = score_text(winner.validation_score), score_text(winner.test_score)
        rows.append(("winner", brief(winner.genome), *scores))
        if (ensemble := winner.ensemble) is not None:
            scores = score_text(ensemble.validation_score), score_text(ensemble.test_score)
            what = "; ".join(map(brief, dict.fromkeys(ensemble.genomes)))
            rows.append((str(ensemble), what, *scores))
    for b in view.result.baselines:
        tested = score_text(b.test_score) if winner else "at the end"
        what, validated = brief(b.description), score_text(b.validation_score)
        rows.append((brief(b.name, 40), what, validated, tested))
    return Table(
        ("model", "what it is", "validation", "test"),
        tuple(rows),
        "The scores as a table",
        "llrr",
        folded=True,
    )


def _network_chart(view: View, winner: Winner) -> Chart:
    """The winner, layer by layer."""
    target = view.data.target
    output = f"{len(target.classes)} classes" if target.classes else brief(target.name, 20)
    return chart(
        "The winner, layer by layer",
        lambda width: draw_network(
            winner.genome,
            view.data.n_inputs,
            output,
            f"The network: {winner.genome}",
            width,
        ),
        note=(
            f"{winner.parameters:,} trainable parameters. Trained by "
            f"{brief(str(winner.genome).partition(' | ')[2])}; {fits_text(winner)}."
        ),
    )


def _tiles(view: View) -> Tiles:
    winner, result = view.winner, view.result
    tiles = []
    if winner is not None:
        interval = winner.test_interval
        note = f"{interval_text(interval)} (95 %)" if interval else "on the test part"
        tiles.append(Tile(f"test {view.metric_words}", score_text(winner.test_score), note))
        rivals = [b for b in result.baselines if b.test_score is not None]
        if rivals and winner.test_score is not None:
            best = max(rivals, key=lambda b: view.metric.sign * (b.test_score or 0.0))
            lead = view.metric.sign * (winner.test_score - (best.test_score or 0.0))
            word = "lead over" if lead > 0 else "behind" if lead < 0 else "same as"
            size = score_text(abs(lead)) if abs(lead) >= 1000 else f"{abs(lead):.2g}"
            chance = ", within chance" if best in result.perhaps_beaten else ""
            rival = f"{brief(best.name, 30)}: {score_text(best.test_score)}{chance}"
            tiles.append(Tile(f"{word} best baseline", size, rival))
    elif view.ranked:
        tiles.append(
            Tile(
                f"best {view.metric_words} so far",
                score_text(view.ranked[0].score),
                "on the validation part",
            )
        )
    n = len(view.record.generations())
    if view.searched:
        tiles.append(
            Tile(
                "networks tried",
                f"{len(view.points):,}",
                f"{n} generation{'' if n == 1 else 's'} finished",
            )
        )
    seconds = view.record.facts.seconds or result.seconds
    tiles.append(
        Tile(
            "time",
            time_text(seconds),
            "hours and minutes" if seconds >= 3600 else "minutes and seconds",
        )
    )
    return Tiles(tuple(tiles))


def advice_section(view: View) -> Section | None:
    """What to try next."""
    if view.winner is None and not view.result.interrupted:
        return None
    steps = advice(view)
    if not steps:
        return Section(
            "What to try next", "Nothing stands out: no rule of this page had anything to say.", ()
        )
    return Section(
        "What to try next",
        "What this run suggests, the most important first.",
        (Steps(tuple(steps)),),
    )


def trust_section(view: View) -> Section | None:
    """The score in the search, after training again, and on the test part."""
    winner, result = view.winner, view.result
    if winner is None:
        return None
    n = sum(score is not None for score in winner.repeats)
    rows = []
    if winner.search_score is not None:
        rows.append(Score("in the search", winner.search_score, None, "muted"))
    if winner.revalidated_score is not None:
        what = f"trained again ({n} {'splits' if winner.on_splits else 'seeds'})"
        interval = winner.revalidated_interval(result.metric)
        rows.append(Score(what, winner.revalidated_score, interval, "blue"))
    rows.append(Score("final fit, validation", winner.validation_score, None, "blue"))
    rows.append(Score("final fit, test", winner.test_score, winner.test_interval, "orange"))
    searched = winner.search_score is not None
    flattery = (
        " The score of a search flatters, since the best of many is also the luckiest."
        if searched
        else ""
    )
    others = tuple(
        (name.replace("_", " "), score_text(value)) for name, value in winner.test_scores.items()
    )
    table = Table(
        ("score of the winner", view.metric_words, "95 % interval"),
        tuple(
            (row.name, score_text(row.value), interval_text(row.interval) if row.interval else "-")
            for row in rows
        ),
        "The scores as a table",
        "lrr",
        folded=True,
    )
    said = [
        Text(brief(line, 500), _TONES.get(style, "plain"))
        for line, style in verdict_lines(winner, result)
    ]
    return Section(
        "What the scores are worth",
        f"The same network, scored {_TIMES[len(rows)]}.{flattery} The last score is the one to "
        "report.",
        (
            chart(
                f"The winner's {view.metric_words}"
                + (", from the search to the test" if searched else ""),
                lambda width: draw_scores(
                    rows,
                    f"{view.metric_words}{view.unit}, {view.better}",
                    f"Scores of the winner: {', '.join(row.name for row in rows)}.",
                    width,
                ),
                (("interval", "95 % interval, where known"),),
                table=table,
            ),
            *said,
            Table(
                ("metric", "winner on the test part"),
                others,
                "Other metrics of the winner on the test part",
                "lr",
                folded=True,
            ),
        ),
    )

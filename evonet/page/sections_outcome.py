"""Sections of what a run came to: its result, what that is worth, and what to try next."""

from __future__ import annotations

from evonet.page.advice import advice
from evonet.page.blocks import (
    Block,
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
from evonet.sentences import fits_text, score_text, time_text, verdict_lines

_TONES: dict[str, Tone] = {"green": "good", "yellow": "warning"}


def result_section(view: View) -> Section | None:
    """The winner beside the baselines, in numbers to take away."""
    winner, result = view.winner, view.result
    ensemble = winner.ensemble if winner else None
    part = "test" if winner else "validation"
    blocks: list[Block] = [_tiles(view)]
    rows = []
    if winner is not None:
        rows.append(
            Score(
                "winner",
                winner.test_score,
                result.test_half_width,
                "orange",
                winner.validation_score,
            )
        )
        if ensemble is not None:
            scores = ensemble.test_score, None, "orange", ensemble.validation_score
            rows.append(Score(str(ensemble), *scores))
    elif view.ranked:
        rows.append(Score("best so far", view.ranked[0].score, None, "orange"))
    for b in result.baselines:
        values = (b.test_score, b.validation_score) if winner else (b.validation_score, None)
        rows.append(Score(brief(b.name, 40), values[0], None, "blue", values[1]))
    if not rows:
        return Section("Result", "Nothing is trained yet.", tuple(blocks))
    table = Table(
        ("model", "what it is", "validation", "test"),
        (
            *(
                [
                    (
                        "winner",
                        brief(winner.genome),
                        score_text(winner.validation_score),
                        score_text(winner.test_score),
                    )
                ]
                if winner
                else []
            ),
            *(
                [
                    (
                        str(ensemble),
                        "; ".join(map(brief, dict.fromkeys(ensemble.genomes))),
                        score_text(ensemble.validation_score),
                        score_text(ensemble.test_score),
                    )
                ]
                if ensemble
                else []
            ),
            *(
                (
                    brief(b.name, 40),
                    brief(b.description),
                    score_text(b.validation_score),
                    score_text(b.test_score) if winner else "at the end",
                )
                for b in result.baselines
            ),
        ),
        "The scores as a table",
        "llrr",
        folded=True,
    )
    legend = [("orange", "winner" if winner else "best so far"), ("blue", "baseline")]
    if winner is not None:
        legend.append(("hollow", "the same on the validation part"))
        if result.test_half_width is not None:
            legend.append(("interval", "95 % interval"))
    blocks.append(
        chart(
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
            table,
        )
    )
    if winner is not None:
        target = view.data["target"]
        output = (
            f"{len(target['classes'])} classes" if target["classes"] else brief(target["name"], 20)
        )
        blocks.append(
            chart(
                "The winner, layer by layer",
                lambda width: draw_network(
                    winner.genome,
                    view.data["n_inputs"],
                    output,
                    f"The network: {winner.genome}",
                    width,
                ),
                note=(
                    f"{winner.parameters:,} trainable parameters. Trained by "
                    f"{brief(str(winner.genome).partition(' | ')[2])}; {fits_text(winner)}."
                ),
            )
        )
    return Section("Result", "What came out, next to what it has to beat.", tuple(blocks))


def _tiles(view: View) -> Tiles:
    winner, result = view.winner, view.result
    tiles = []
    if winner is not None:
        half = result.test_half_width
        note = f"± {half:.3f} (95 %)" if half is not None else "on the test part"
        tiles.append(Tile(f"test {view.metric_words}", score_text(winner.test_score), note))
        rivals = [b for b in result.baselines if b.test_score is not None]
        if rivals and winner.test_score is not None:
            best = max(rivals, key=lambda b: view.metric.sign * (b.test_score or 0.0))
            lead = view.metric.sign * (winner.test_score - (best.test_score or 0.0))
            word = "lead over" if lead > 0 else "behind" if lead < 0 else "same as"
            size = score_text(abs(lead)) if abs(lead) >= 1000 else f"{abs(lead):.2g}"
            rival = f"{brief(best.name, 30)}: {score_text(best.test_score)}"
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
    seconds = view.record.fact("seconds") or result.seconds
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
        rows.append(Score(what, winner.revalidated_score, winner.revalidated_half_width, "blue"))
    rows.append(Score("final fit, validation", winner.validation_score, None, "blue"))
    rows.append(Score("final fit, test", winner.test_score, result.test_half_width, "orange"))
    others = tuple(
        (name.replace("_", " "), score_text(value)) for name, value in winner.test_scores.items()
    )
    table = Table(
        ("score of the winner", view.metric_words, "± (95 %)"),
        tuple((row.name, score_text(row.value), score_text(row.half_width)) for row in rows),
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
        "The same network, scored four times. The score of a search flatters, since the best of "
        "many is also the luckiest; the last one is the one to report.",
        (
            chart(
                f"The winner's {view.metric_words}, from the search to the test",
                lambda width: draw_scores(
                    rows,
                    f"{view.metric_words}{view.unit}, {view.better}",
                    "Scores of the winner in the search, trained again, and after the final fit.",
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

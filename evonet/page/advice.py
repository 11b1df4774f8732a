"""What to try next: each rule looks at a run and may have something to say.

A rule is a function and a row of ``RULES``; those first in it are told first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from shlex import join, quote
from types import MappingProxyType

from evonet.page.advice_search import (
    change_direction,
    give_up_less,
    mend_failures,
    resume_text,
    search_longer,
    train_longer,
    try_more,
    widen_range,
)
from evonet.page.blocks import Step, brief
from evonet.page.view import View
from evonet.phrases import drops
from evonet.sentences import is_hidden_by_one_class, learned_nothing, score_text


def go_on(view: View) -> Iterator[Step]:
    """A run that is not finished."""
    if view.result.interrupted and not view.live:
        yield Step(
            "The run is not finished",
            "It was stopped or killed, or still goes on. All that is trained is kept; go on with "
            "it, and it ends as if nothing had happened.",
            f"evonet resume {quote(str(view.record.folder))}",
        )


def leave_out_what_tells(view: View) -> Iterator[Step]:
    """Columns that give the target away, or rows that stand in several parts."""
    doubts = view.result.doubts
    if not doubts:
        return
    config = quote(str(view.record.folder / "config.toml"))
    advised = dict.fromkeys(finding.flags for finding in doubts)
    flags = [*drops(view.config.drop), *(word for some in advised for word in some)]
    sentences = [brief(said, 400) for f in doubts for said in (f.seen, f.why, f.advice)]
    yield Step(
        "All scores of this run may flatter",
        " ".join(dict.fromkeys(sentences)),
        f"evonet evolve --config {config} {join(flags)}" if any(advised) else "",
    )


def hold_against_baselines(view: View) -> Iterator[Step]:
    """A winner that a constant, or else a linear model, is as good as within what chance does."""
    winner = view.winner
    if winner is None or winner.test_score is None:
        return
    rivals = view.result.as_good
    if any(rival.is_constant for rival in rivals):
        yield Step(
            "Nothing was learned that this metric sees",
            learned_nothing(view.result),
            "evonet evolve ... --metric balanced_accuracy"
            if is_hidden_by_one_class(view.result)
            else "",
        )
        return
    for baseline in (b for b in view.result.baselines if b.name == "linear"):
        if baseline in rivals:
            yield Step(
                "The linear model is as good",
                f"On the test part the {baseline.description} is as good as the winner or better "
                f"({score_text(baseline.test_score)} against {score_text(winner.test_score)}). Use "
                "it: it is smaller, faster and easier to explain. Networks gain where columns work "
                "together in ways that are not sums; perhaps here they do not.",
            )
        elif baseline in view.result.perhaps_beaten:
            yield Step(
                "The winner is within chance of the linear model",
                f"On the test part it had {score_text(winner.test_score)}, the linear model "
                f"{score_text(baseline.test_score)}, which is within the winner's 95 % interval. "
                "Unless more rows tell them apart, use the linear model: it is smaller, faster and "
                "easier to explain.",
            )


def use_default(view: View) -> Iterator[Step]:
    """A winner that the network nobody searched for beats."""
    winner = view.winner
    if winner is None or winner.test_score is None or not view.searched:
        return
    for b in view.result.baselines:
        known = b.name == "default MLP" and b.test_score is not None
        if known and not view.metric.better(winner.test_score, b.test_score or 0.0):
            yield Step(
                "The search found nothing better than the default network",
                "A network that nobody searched for is as good on the test part. Search longer, or "
                "spend the time on the data: more rows, or columns that say more.",
                resume_text(view),
            )


def score_steadier(view: View) -> Iterator[Step]:
    """A search that chased luck: its score fell when the winner was trained again."""
    winner, noise = view.winner, view.result.noise
    if winner is None or winner.search_score is None or winner.revalidated_score is None:
        return
    gap = view.metric.sign * (winner.search_score - winner.revalidated_score)
    if noise is not None and gap > 2 * noise.deviation > 0:
        yield Step(
            "The search flattered itself",
            f"The winner scored {score_text(winner.search_score)} in the search and "
            f"{score_text(winner.revalidated_score)} when it was trained again. Scores on few rows "
            "are partly luck, and a search finds the luckiest: score by cross-validation.",
            "evonet evolve ... --folds 5",
        )


def prefer_smaller(view: View) -> Iterator[Step]:
    """A lead over the next finalist that is no more than chance."""
    noise = view.result.noise
    if noise is None or noise.lead is None or noise.lead >= noise.by_chance:
        return
    if len(view.objectives) == 1:
        lead = (
            f"It leads the next finalist by {score_text(noise.lead)}, and chance explains up to "
            f"{score_text(noise.by_chance)}."
            if noise.lead > 0
            else "Trained again, another finalist had a mean score that is as good or better."
        )
        yield Step(
            "Other networks are as good as the winner",
            f"{lead} You may choose among them by other means: a search "
            "that also minimises size offers small networks that are about as good.",
            "evonet evolve ... --objective score,parameters",
        )


#: To add a rule: its function here.
RULES: Mapping[str, Callable[[View], Iterator[Step]]] = MappingProxyType(
    {
        "go on": go_on,
        "doubts": leave_out_what_tells,
        "baselines": hold_against_baselines,
        "default": use_default,
        "failures": mend_failures,
        "rising": search_longer,
        "short": try_more,
        "flattered": score_steadier,
        "border": widen_range,
        "epochs": train_longer,
        "early best": change_direction,
        "dropped": give_up_less,
        "smaller": prefer_smaller,
    }
)


def advice(view: View) -> list[Step]:
    """What to try next, the most important first; nothing where nothing stands out."""
    steps: list[Step] = []
    for step in (step for rule in RULES.values() for step in rule(view)):
        said = step.command in [earlier.command for earlier in steps]
        steps.append(replace(step, command="") if said else step)
    return steps

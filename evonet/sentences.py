"""A run in sentences: its data, its goal, its winner, and what the scores are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from shlex import quote

from evonet.advice.finding import Finding
from evonet.champion.noise import Noise
from evonet.metrics import Metric
from evonet.outcome import Winner
from evonet.phrases import shortened
from evonet.progress import RunResult
from evonet.report.words import interval_text, metric_words, number
from evonet.store.facts import DataFacts
from evonet.store.record import RunRecord

#: Accuracy of the commonest class from which it rules the score. Untuned.
_MOSTLY_ONE = 0.6
#: Findings of the data's check that a run begins with.
_MOST_FINDINGS = 3

#: What a run's folder may hold for people.
_FILES = (
    "model.keras",
    "networks.npz",
    "best_genome.json",
    "config.toml",
    "history.csv",
    "history.parquet",
    "pareto_front.json",
    "pareto_front.csv",
    "tensorboard",
)


def score_text(score: float | None) -> str:
    """A score with the digits that matter, or a dash where there is none.

    Example:
        >>> score_text(0.98153), score_text(26123.4), score_text(None)
        ('0.9815', '26,123', '-')
    """
    return "-" if score is None or not math.isfinite(score) else number(score)


def time_text(seconds: float) -> str:
    """A duration as minutes and seconds, or hours and minutes.

    Example:
        >>> time_text(75), time_text(7300)
        ('1:15', '2 h 01')
    """
    if seconds >= 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d}"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def data_lines(data: DataFacts) -> list[str]:
    """What was understood of the data."""
    train, validation, test = data.rows
    target = data.target
    classes = f", {len(target.classes)} classes" if target.classes else ""
    return [
        f"Data      {data.name}: {train} training, {validation} validation, {test} test rows; "
        f"{data.n_inputs} inputs; {target.task}{classes}",
        *(f"          {note}" for note in data.notes),
        *_advice_lines(data.advice),
    ]


def _advice_lines(findings: Sequence[Finding]) -> list[str]:
    """The first of the serious findings of the data's check, and where to read the others."""
    if not findings:
        return []
    said = [_consider(finding) for finding in findings[:_MOST_FINDINGS]]
    left = len(findings) - len(said)
    more = f"{left} more, and why" if left else "Why, and what else there is"
    lines = [*said, f"{more}: evonet check, with the same data and target."]
    return [f"{'Advice' if i == 0 else '':<10}{line}" for i, line in enumerate(lines)]


def goal_line(metric: Metric, objectives: Sequence[str]) -> str:
    """What the run improves."""
    words = f"Goal      {metric.name}, {'higher' if metric.maximise else 'lower'} is better"
    also = ", ".join(objectives[1:])
    return f"{words}; of {also} less is better" if also else words


def front_lines(record: RunRecord) -> list[tuple[str, str]]:
    """The Pareto front and its hypervolume; (line, style) pairs."""
    from evonet.report.tables import front_table

    volumes = [g.hypervolume for g in record.generations() if g.hypervolume is not None]
    if not volumes:
        return []
    front = front_table(record)
    names = list(front.columns.drop(["genome", "network"]))
    return [
        (f"Front     {''.join(f'{name:>14}' for name in names)}   network", "bold"),
        *(
            (
                "          "
                + "".join(f"{score_text(float(row[name])):>14}" for name in names)
                + f"   {shortened(row['network'], 80)}",
                "",
            )
            for row in front.to_dict("records")
        ),
        (
            f"          Hypervolume from {score_text(volumes[0])} in generation 0 to "
            f"{score_text(volumes[-1])} in generation {len(volumes) - 1}",
            "",
        ),
    ]


def result_lines(result: RunResult) -> list[tuple[str, str]]:
    """The winner next to the baselines, and what that means; (line, style) pairs."""
    winner, name = result.winner, result.metric.name
    if winner is None:  # the test part has no say before the end
        scores = [
            f"          {b.name:<24}{score_text(b.validation_score):>12}" for b in result.baselines
        ]
        return [(f"          {name:<24}{'validation':>12}", "bold"), *((s, "") for s in scores)]
    table: list[tuple[str, float | None, float | None]]
    table = [("winner", winner.validation_score, winner.test_score)]
    ensemble = winner.ensemble
    if ensemble:
        table.append((str(ensemble), ensemble.validation_score, ensemble.test_score))
    table += [(b.name, b.validation_score, b.test_score) for b in result.baselines]
    lines = [
        (f"Winner    {winner.genome}", "bold"),
        (f"          {winner.parameters:,} parameters, {fits_text(winner)}", ""),
        ("", ""),
        (f"          {name:<24}{'validation':>12}{'test':>12}", "bold"),
        *(
            (f"          {row:<24}{score_text(validation):>12}{score_text(test):>12}", "")
            for row, validation, test in table
        ),
        ("", ""),
        *verdict_lines(winner, result),
        ("", ""),
    ]
    searched = winner.search_score is not None
    there = ", ".join(name for name in _FILES if (result.folder / name).exists())
    lines.append((f"Files     {result.folder}: {there}", ""))
    steps = {
        "predict {run} FILE": "predict new rows",
        "export {run} --format savedmodel": "or keras, onnx, tflite, python",
        "report {run}": "all about it on one page",
        "diagnose {run}": "how the winner learned, and where it errs",
    }
    if ensemble:
        steps["predict {run} FILE --ensemble"] = "with the ensemble"
    if searched:
        steps["resume {run} --generations N"] = "search on"
    folder = quote(str(result.folder))
    for i, (command, what) in enumerate(steps.items()):
        label = "" if i else "Next"
        lines.append((f"{label:<10}evonet {command.format(run=folder)}    {what}", ""))
    return lines


def fits_text(winner: Winner) -> str:
    """How the winner's weights came to be."""
    best = f"best epoch {winner.best_epoch}"
    fits = f"best of {winner.n_fits} fits" if winner.n_fits > 1 else "one fit"
    return f"{best}; {fits} of at most {winner.epochs} epochs"


def verdict_lines(winner: Winner, result: RunResult) -> list[tuple[str, str]]:
    """What the scores are worth, said honestly; (line, style) pairs."""
    lines = []
    if winner.search_score is not None:
        if not result.generations:
            lines.append(
                "The search ended before its first generation did, so that few networks were "
                "compared. Go on with evonet resume and a higher limit (--max-trainings or "
                "--max-minutes)."
            )
        lines.append(_optimism(winner, result.metric))
        if winner.search_score == result.metric.perfect:
            lines.append(
                f"A score of {score_text(result.metric.perfect)} is the best there can be: by it a "
                "longer search finds nothing better. More validation rows, or a finer metric such "
                "as log_loss, would tell such networks apart."
            )
    if winner.ensemble:
        lines.append(
            "The ensemble is the mean of several fits, chosen on the validation part: its score "
            "there flatters, that on the test part does not."
        )
    if result.noise is not None:
        lines.append(_lead(result.noise))
    if result.n_winners == 1:
        lines.append("The test part took part in no choice: its score is the one to report.")
    else:
        lines.append(
            f"The test part has now scored {result.n_winners} winners of this run: the more often "
            "it is looked at, the more it flatters."
        )
    said = [(line, "") for line in lines]
    if winner.test_score is None:
        line = "The winner has no test score: a test row holds numbers far beyond training's."
        return [*said, (line, "yellow")]
    worse, perhaps = (
        [f"{b.name} by {score_text(abs(winner.test_score - (b.test_score or 0.0)))}" for b in some]
        for some in (result.beaten, result.perhaps_beaten)
    )
    as_good = [
        f"{b.name} ({_behind(winner.test_score, b.test_score or 0.0)})" for b in result.as_good
    ]
    if worse:
        said.append((f"On the test part the winner beats: {', '.join(worse)}.", "green"))
    if perhaps:
        line = f"On the test part its lead may be chance over: {', '.join(perhaps)}."
        said.append((line, "yellow"))
    if as_good:
        may_improve = winner.search_score not in (None, result.metric.perfect)
        advice = "Search longer, or use that." if may_improve else "Use that."
        if any(baseline.is_constant for baseline in result.as_good):
            advice = learned_nothing(result)
        said.append(
            (f"On the test part the winner does NOT beat: {', '.join(as_good)}. {advice}", "yellow")
        )
    return [*said, *_noise(winner, result.n_test), *_doubts(result.doubts)]


def _doubts(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Why all these scores may flatter."""
    return [
        (f"All these scores may flatter. {_consider(finding)}", "yellow")
        for finding in findings[:_MOST_FINDINGS]
    ]


def _consider(finding: Finding) -> str:
    """What a finding of the data's check saw, and what may be passed against it."""
    command = shortened(finding.command, 80)
    return finding.seen + (f" Consider {command}" if command else "")


def learned_nothing(result: RunResult) -> str:
    """What it means that a model which looks at no input is as good as the winner."""
    said = f"A model that always says the same is as good by {metric_words(result.metric.name)}"
    if is_hidden_by_one_class(result):
        return (
            f"{said}. Where most rows are of one class, accuracy does not see what is learned of "
            "the others: try --metric balanced_accuracy, or roc_auc."
        )
    return f"{said}: the inputs may not tell the target, or the rows may be too few to learn it."


def is_hidden_by_one_class(result: RunResult) -> bool:
    """Whether an accuracy says little since so many rows are of one class."""
    constant = [b.test_score or 0.0 for b in result.baselines if b.is_constant]
    return result.metric.name == "accuracy" and max(constant, default=0.0) > _MOSTLY_ONE


def _behind(own: float, other: float) -> str:
    return "as good" if own == other else f"by {score_text(abs(own - other))}"


def _optimism(winner: Winner, metric: Metric) -> str:
    """How far the score of the search flatters, as later trainings tell."""
    searched, again = winner.search_score, winner.revalidated_score
    said = f"In the search the winner scored {score_text(searched)} on the validation part"
    if again is None or searched is None:
        return f"{said}. Finalists were not trained again, so that it may flatter."
    known = winner.revalidated_interval(metric)
    interval = f" ({interval_text(known)}, 95 %)" if known else ""
    gap = metric.sign * (searched - again)
    verdict = f"the search flattered it by {score_text(gap)}" if gap > 0 else "no flattery in that"
    if winner.on_splits and gap > 0:  # which is not known: the rows differ
        verdict = f"flattery of the search, or an easy validation part, by {score_text(gap)}"
    n = sum(score is not None for score in winner.repeats)
    on = f"{n} {'other splits' if winner.on_splits else 'fresh seeds'}"
    return f"{said}, and {score_text(again)}{interval} on {on}: {verdict}."


def _lead(noise: Noise) -> str:
    """What the noise of a score makes of the winner's lead."""
    what = "Another split" if noise.of_splits else "Another seed"
    said = f"{what} moves a score by {score_text(noise.deviation)} (standard deviation)"
    if noise.lead is None:
        return f"{said}."
    if noise.lead <= 0:
        return f"{said}: another finalist is as good."
    rival = f"the winner leads the next finalist by {score_text(noise.lead)}"
    if noise.lead < noise.by_chance:
        return f"{said}: {rival}, which may be chance (up to {score_text(noise.by_chance)}, 95 %)."
    return f"{said}: {rival}, more than chance does ({score_text(noise.by_chance)}, 95 %)."


def _noise(winner: Winner, n_test: int) -> list[tuple[str, str]]:
    """How far chance moves the score on the test part."""
    if winner.test_interval is None:
        return []
    line = (
        f"From {n_test} test rows, its score on all rows is {interval_text(winner.test_interval)} "
        "(95 %): a model within that may be as good."
    )
    return [(line, "")]

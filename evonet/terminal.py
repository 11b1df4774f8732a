"""What a person sees on the terminal: a run's progress, a run explained, the list of runs."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from evonet.champion.baselines import Baseline
from evonet.champion.winner import Winner
from evonet.config import RunConfig
from evonet.errors import RecordError
from evonet.evaluation import Evaluation
from evonet.metrics import Metric
from evonet.progress import GenerationSummary, Observer, RunResult, read_result, search_seconds
from evonet.store.record import RunRecord
from evonet.store.record import list_runs as run_folders

_HEADER = "  gen      best    median  trained  cached  failed   elapsed      left   best network"


def make_console() -> Console:
    """The console on standard output; wide where it is a pipe, so that no line is folded."""
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, soft_wrap=True)


def score_text(score: float | None) -> str:
    """A score with the digits that matter.

    Example:
        >>> score_text(0.98153), score_text(26123.4), score_text(None)
        ('0.9815', '26,123', '-')
    """
    if score is None or not math.isfinite(score):
        return "-"
    if abs(score) < 10:
        return f"{score:.4f}"
    return f"{score:.2f}" if abs(score) < 1000 else f"{score:,.0f}"


def time_text(seconds: float) -> str:
    """A duration as minutes and seconds, or hours and minutes.

    Example:
        >>> time_text(75), time_text(7300)
        ('1:15', '2 h 01')
    """
    if seconds >= 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d}"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def plain(text: object) -> str:
    """Text from data or files with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in str(text))


class TerminalObserver(Observer):
    """Shows a run line by line, with a bar for the generation under way where there is a screen."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or make_console()
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._config = RunConfig()
        self._elapsed = 0.0
        self._session_generations: list[float] = []

    def __enter__(self) -> TerminalObserver:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str = "", style: str = "") -> None:
        """One line, as it is: brackets and colons in it mean nothing."""
        self.console.print(Text(plain(line), style=style))

    def on_start(self, record: RunRecord, metric: Metric, config: RunConfig) -> None:
        self._config = config
        self._elapsed = search_seconds(record)
        self.say(f"Run {record.folder}", "bold")
        for line in _data_lines(record.fact("data")):
            self.say(line)
        self.say(_goal_line(metric))
        self._show_bar("fitting the baselines", None)

    def on_baseline(self, baseline: Baseline) -> None:
        name = f"{baseline.name} ({baseline.description.split(':')[0]})"
        self.say(f"Baseline  {name}: validation {score_text(baseline.validation_score)}")

    def on_generation_start(self, number: int, n_candidates: int) -> None:
        if not self._session_generations:
            self.say()
            self.say(_HEADER, "bold")
            self._session_generations.append(0.0)
        self._show_bar(f"generation {number}", n_candidates)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        if self._task is not None:
            note = score_text(evaluation.score) if evaluation.ok else evaluation.status
            self._progress.update(self._task, advance=1, note=note)

    def on_generation(self, summary: GenerationSummary) -> None:
        self._elapsed += summary.seconds
        self._session_generations.append(summary.seconds)
        self.say(
            f"{summary.number:5d}{score_text(summary.best):>10}{score_text(summary.median):>10}"
            f"{summary.trained:9d}{summary.cached:8d}{summary.failed:8d}"
            f"{time_text(self._elapsed):>10}{self._left(summary.number):>10}   "
            f"{_shortened(str(summary.best_genome), 70)}"
        )

    def on_stop_asked(self) -> None:
        self.say("Stopping after the running network. Ctrl-C again stops at once.", "yellow")

    def on_search_end(self, reason: str) -> None:
        self.say(f"Search ended: {reason}.")
        self._show_bar("fitting the winner", None)

    def on_end(self, result: RunResult) -> None:
        self._progress.stop()
        self.say()
        if result.interrupted:
            self.say("Stopped. Everything finished is kept; go on with:", "yellow")
            self.say(f"  evonet resume {result.folder}")
            return
        for line in _result_lines(result):
            self.say(*line)

    def _show_bar(self, description: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, note="")

    def _left(self, number: int) -> str:
        """Time left by the limits that tell, at the pace of this session's generations."""
        pace = self._session_generations[1:]
        left = (self._config.generations - number) * sum(pace) / len(pace)
        if self._config.max_minutes is not None:
            left = min(left, max(60 * self._config.max_minutes - self._elapsed, 0))
        return f"~{time_text(left)}"


def show_run(record: RunRecord) -> None:
    """Explain a run to somebody who has never seen one."""
    console = make_console()
    result, data = read_result(record), record.fact("data")

    def say(line: str = "", style: str = "") -> None:
        console.print(Text(plain(line), style=style))

    say(f"Run {record.folder}", "bold")
    for line in _data_lines(data):
        say(line)
    say(_goal_line(result.metric))
    generations = record.generations()
    n_failed = sum(not s.evaluation.ok for s in record.evaluations())
    n_cached = sum(s.origin == "cached" for s in record.evaluations())
    say(
        f"Search    {len(generations)} generations, {result.trainings} networks trained "
        f"({n_failed} failed), {n_cached} taken from the cache, {time_text(result.seconds)}"
    )
    if result.interrupted:
        say("State     unfinished", "yellow")
        say(f"          Go on with it: evonet resume {record.folder}")
    else:
        say(f"State     done: {result.reason}")
    if result.winner is None and generations:
        _, best = generations[-1].population[0]
        say(f"Best so far  {score_text(abs(best))} on the validation part")
    say()
    for entry in _result_lines(result):
        say(*entry)


def _data_lines(data: dict[str, Any]) -> list[str]:
    train, validation, test = data["rows"]
    target = data["target"]
    classes = f", {len(target['classes'])} classes" if target["classes"] else ""
    return [
        f"Data      {data['name']}: {train} training, {validation} validation, {test} test rows; "
        f"{data['n_inputs']} inputs; {target['task']}{classes}",
        *(f"          {note}" for note in data["notes"]),
    ]


def _goal_line(metric: Metric) -> str:
    return f"Goal      {metric.name}, {'higher' if metric.maximise else 'lower'} is better"


def _result_lines(result: RunResult) -> list[tuple[str, str]]:
    """The winner next to the baselines, and what that means; (line, style) pairs."""
    winner, metric = result.winner, result.metric
    lines: list[tuple[str, str]] = []
    if winner is not None:
        lines += [
            (f"Winner    {winner.genome}", "bold"),
            (f"          {winner.parameters:,} parameters, best epoch {winner.best_epoch}", ""),
            ("", ""),
        ]
    lines.append((f"          {metric.name:<24}{'validation':>12}{'test':>12}", "bold"))
    if winner is not None:
        lines.append(_score_line("winner", winner.validation_score, winner.test_score))
    lines += [_score_line(b.name, b.validation_score, b.test_score) for b in result.baselines]
    if winner is None:
        return lines
    lines.append(("", ""))
    if winner.search_score is not None:
        lines.append(
            (
                f"In the search the winner scored {score_text(winner.search_score)} on the "
                "validation part; that was picked as the best of many, so expect less.",
                "",
            )
        )
    lines += [
        ("The test rows took part in no choice: the test score is the one to report.", ""),
        _verdict(winner, result),
        *_noise(winner, result),
        ("", ""),
        (f"Files     {result.folder}: model.keras, best_genome.json, history.csv, config.toml", ""),
        (f"Next      evonet predict {result.folder} FILE    predict new rows", ""),
        (f"          evonet plot {result.folder}    draw fitness, learning curves, population", ""),
        (f"          evonet resume {result.folder} --generations N    search on", ""),
    ]
    return lines


def _score_line(name: str, validation: float, test: float) -> tuple[str, str]:
    return f"          {name:<24}{score_text(validation):>12}{score_text(test):>12}", ""


def _verdict(winner: Winner, result: RunResult) -> tuple[str, str]:
    """Whether the search was worth it, said honestly."""
    linear = next((b for b in result.baselines if b.name == "linear"), None)
    if linear is None:
        return "", ""
    difference = score_text(abs(winner.test_score - linear.test_score))
    if result.metric.better(winner.test_score, linear.test_score):
        return (
            f"The winner is better than the linear model by {difference} on the test part.",
            "green",
        )
    if winner.test_score == linear.test_score:
        return (
            "The winner is NOT better than the linear model on the test part: they tie.",
            "yellow",
        )
    return (
        f"The winner is NOT better than the linear model: worse by {difference} on the test part. "
        "Search longer, or use the linear model.",
        "yellow",
    )


def _noise(winner: Winner, result: RunResult) -> list[tuple[str, str]]:
    """How far chance moves an accuracy: twice the standard error of a proportion."""
    if result.metric.name != "accuracy" or not result.n_test:
        return []
    p = winner.test_score
    half_width = 1.96 * math.sqrt(p * (1 - p) / result.n_test)
    line = (
        f"With {result.n_test} test rows, chance alone moves an accuracy by about {half_width:.3f}."
    )
    return [(line, "")]


def runs_table(results: Path) -> list[dict[str, Any]]:
    """One row per run of a results folder; a run that cannot be read says why."""
    rows: list[dict[str, Any]] = []
    for folder in run_folders(results):
        try:
            record = RunRecord(folder)
        except RecordError as error:
            rows.append({"run": folder.name, "state": f"unreadable: {error}"})
            continue
        result, winner = read_result(record), read_result(record).winner
        rows.append(
            {
                "run": folder.name,
                "state": "unfinished" if result.interrupted else "done",
                "data": record.fact("data")["name"],
                "generations": len(record.generations()),
                "trainings": result.trainings,
                "metric": result.metric.name,
                "validation": winner.validation_score if winner else None,
                "test": winner.test_score if winner else None,
            }
        )
        record.close()
    return rows


def list_runs(results: Path, rows: list[dict[str, Any]]) -> None:
    """Print the rows of ``runs_table``."""
    console = make_console()
    if not rows:
        console.print(Text(f"No runs in {results}. Start one: evonet evolve"))
        return
    columns = ("run", "state", "data", "generations", "trainings", "metric", "validation", "test")
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column in columns[3:5] + columns[6:] else "left"
        )
    for row in rows:
        cells = [row.get(column, "") for column in columns]
        scored = [score_text(c) if isinstance(c, float) or c is None else plain(c) for c in cells]
        table.add_row(*map(Text, scored))
    console.print(table)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

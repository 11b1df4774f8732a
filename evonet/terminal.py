"""What a person sees on the terminal: progress, a run explained, tables of runs and plans."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from evonet.champion.baselines import Baseline
from evonet.config import RunConfig
from evonet.errors import RecordError
from evonet.evaluation import Evaluation
from evonet.metrics import Interval, Metric
from evonet.progress import GenerationSummary, Observer, RunResult, read_result
from evonet.report.words import interval_text
from evonet.sentences import (
    data_lines,
    front_lines,
    goal_line,
    plain,
    result_lines,
    score_text,
    shortened,
    time_text,
)
from evonet.store.folders import run_folders
from evonet.store.record import RunRecord

_COLUMNS = ("run", "state", "data", "generation", "trainings", "metric", "validation", "test")
_HEADER = (
    "  gen      best    median  trained  cached  dropped  failed   elapsed      left   best network"
)


def make_console() -> Console:
    """The console on standard output; wide where it is a pipe, so that no line is folded."""
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, soft_wrap=True)


class QuietObserver(Observer):
    """Says what is wrong where errors are said, and nothing else."""

    def on_warning(self, text: str) -> None:
        print(f"evonet: {plain(text)}", file=sys.stderr)


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
        self._began = 0.0  # when the first generation of this session did
        self._generations = self._trained = 0  # of this session
        self._trained_before = 0

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
        self._elapsed = record.search_seconds()
        self._trained_before = record.count_trainings()
        self.say(f"Run {record.folder}", "bold")
        for line in data_lines(record.fact("data")):
            self.say(line)
        self.say(goal_line(metric, config.objective))
        if config.backend != "loky":
            self.say(f"Cluster   {config.backend}, at {config.address or 'this machine'}")
        for baseline in record.fact("baselines") or []:
            self.on_baseline(Baseline(**baseline))
        if generations := record.generations():
            best = metric.sign * generations[-1].population[0][1]
            self.say(
                f"Resumed   after generation {generations[-1].number}, {record.count_trainings()} "
                f"trainings and {time_text(self._elapsed)}; best {score_text(best)}"
            )
        self._show_bar("fitting the baselines", None)

    def on_compilation(self, kept: bool) -> None:
        when = "once on this machine" if kept else "in every process: there is no cache folder"
        self.say(f"Compiling the training loops, {when} (half a minute or more) ...")

    def on_baseline(self, baseline: Baseline) -> None:
        name = f"{baseline.name} ({baseline.description.split(':')[0]})"
        self.say(f"Baseline  {name}: validation {score_text(baseline.validation_score)}")

    def on_generation_start(self, number: int, n_candidates: int) -> None:
        if not self._generations:
            self._began = time.monotonic()
            self.say()
            volume = f"{'volume':>10}" if len(self._config.objective) > 1 else ""
            self.say(_HEADER.replace("  trained", f"{volume}  trained"), "bold")
        self._show_bar(f"generation {number}", n_candidates)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        if self._task is not None:
            note = score_text(evaluation.score) if evaluation.ok else evaluation.status
            self._progress.update(self._task, advance=1, note=note)

    def on_generation(self, summary: GenerationSummary) -> None:
        self._elapsed += summary.seconds
        self._generations += 1
        self._trained += summary.trained
        volume = summary.hypervolume
        self.say(
            f"{summary.number:5d}{score_text(summary.best):>10}{score_text(summary.median):>10}"
            f"{'' if volume is None else f'{score_text(volume):>10}'}"
            f"{summary.trained:9d}{summary.cached:8d}{summary.dropped:9d}{summary.failed:8d}"
            f"{time_text(self._elapsed):>10}{self._left(summary.number):>10}   "
            f"{shortened(str(summary.best_genome), 70)}"
        )

    def on_warning(self, text: str) -> None:
        self.say(text, "yellow")

    def on_stop_asked(self) -> None:
        self.say("Stopping after the running network. Ctrl-C again stops at once.", "yellow")

    def on_search_end(self, reason: str) -> None:
        self.say(f"Search ended: {reason}.")
        self._show_bar("fitting the winner", None)

    def on_revalidation_start(self, n_finalists: int, n_repeats: int, on_splits: bool) -> None:
        on = "other splits of the rows" if on_splits else "fresh seeds"
        again = f"training the best {n_finalists} again, on {n_repeats} {on} each"
        self._show_bar(again, n_finalists if on_splits else n_finalists * n_repeats)

    def on_end(self, result: RunResult) -> None:
        self._progress.stop()
        self.say()
        if result.interrupted:
            self.say("Stopped. Everything finished is kept; go on with:", "yellow")
            self.say(f"  evonet resume {quote(str(result.folder))}")
            return
        for line in result_lines(result):
            self.say(*line)

    def _show_bar(self, description: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, note="")

    def _left(self, number: int) -> str:
        """Time left by the limits that tell, at the pace of this session."""
        config, spent = self._config, time.monotonic() - self._began
        left = (config.generations - number) * spent / self._generations
        if config.max_minutes is not None:
            left = min(left, 60 * config.max_minutes - self._elapsed)
        if config.max_trainings is not None and self._trained:
            more = config.max_trainings - self._trained_before - self._trained
            left = min(left, more * spent / self._trained)
        return f"~{time_text(max(left, 0))}"


def show_run(record: RunRecord) -> None:
    """Explain a run to somebody who has never seen one."""
    console = make_console()
    result, data = read_result(record), record.fact("data")

    def say(line: str = "", style: str = "") -> None:
        console.print(Text(plain(line), style=style))

    say(f"Run {record.folder}", "bold")
    for line in data_lines(data):
        say(line)
    objectives = record.fact("config").get("objective", ["score"])
    say(goal_line(result.metric, objectives))
    generations, stored = record.generations(), record.evaluations()
    n_failed = sum(s.origin == "trained" and not s.evaluation.ok for s in stored)
    n_dropped = sum(s.origin == "trained" and s.evaluation.dropped for s in stored)
    n_cached = sum(s.origin == "cached" for s in stored)
    if record.fact("given"):
        say("Search    none: one genome was given")
    else:
        last = f"generations 0 to {generations[-1].number}" if generations else "no generation yet"
        say(
            f"Search    {last}; {result.trainings} networks trained ({n_dropped} given up early, "
            f"{n_failed} failed), {n_cached} taken from the cache, {time_text(result.seconds)}"
        )
    if result.interrupted:
        say("State     unfinished", "yellow")
        say(f"          Go on with it: evonet resume {quote(str(record.folder))}")
    else:
        say(f"State     done: {result.reason}")
    if result.winner is None and generations:
        _, best = generations[-1].population[0]
        say(f"Best      {score_text(result.metric.sign * best)} so far, on the validation part")
    from evonet.report.tables import operators_table  # pandas, which other commands spare

    operators = operators_table(record)
    if len(operators):
        say(f"Operators {'':<22}{'offspring':>10}{'better than parents':>22}{'alive':>8}", "bold")
    for row in operators.itertuples():
        share = f"{row.better} ({row.share:.0%})"
        say(f"          {row.operator:<22}{row.offspring:>10}{share:>22}{row.survived:>8}")
    for entry in [*front_lines(record), ("", ""), *result_lines(result)]:
        say(*entry)


def runs_table(results: Path) -> list[dict[str, Any]]:
    """One row per run of a results folder; a run that cannot be read says why."""
    rows: list[dict[str, Any]] = []
    for folder in run_folders(results):
        row: dict[str, Any] = dict.fromkeys(_COLUMNS) | {"run": folder.name}
        try:
            with RunRecord(folder) as record:
                result = read_result(record)
                row |= {
                    "state": "unfinished" if result.interrupted else "done",
                    "data": record.fact("data")["name"],
                    "generation": len(record.generations()) - 1 if record.generations() else None,
                    "trainings": result.trainings,
                    "metric": result.metric.name,
                }
            if result.winner is not None:
                row["validation"] = result.winner.validation_score
                row["test"] = result.winner.test_score
        except RecordError as error:
            row |= {"state": "unreadable", "problem": str(error)}
        rows.append(row)
    return rows


def print_runs(results: Path, rows: list[dict[str, Any]]) -> None:
    """Print the rows of ``runs_table``."""
    console = make_console()
    if not rows:
        console.print(Text(f"No runs in {results}. Start one: evonet evolve"))
        return
    table = Table(box=None, pad_edge=False)
    numeric = ("generation", "trainings", "validation", "test")
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in numeric else "left")
    for row in rows:
        cells = [row[column] for column in _COLUMNS]
        scored = [score_text(c) if isinstance(c, float) or c is None else plain(c) for c in cells]
        table.add_row(*map(Text, scored))
    console.print(table)
    for row in rows:
        if "problem" in row:
            console.print(Text(f"{plain(row['run'])}: {plain(row['problem'])}", style="yellow"))


def show_comparison(rows: list[dict[str, Any]]) -> None:
    """Print the rows of ``comparison.comparison``."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run")
    table.add_column("method")
    for column in ("seed", "trainings", "time", "search", "again", "test", "parameters"):
        table.add_column(column, justify="right")

    def with_interval(score: float | None, interval: Interval | None) -> str:
        return score_text(score) + (f" ({interval_text(interval)})" if interval else "")

    for row in rows:
        cells = [plain(row["run"]), row["method"], str(row["seed"]), f"{row['trainings']:,}"]
        cells += [time_text(row["seconds"]), score_text(row["search"])]
        cells.append(with_interval(row["revalidated"], row["revalidated_interval"]))
        cells.append(with_interval(row["test"], row["test_interval"]))
        table.add_row(*map(Text, [*cells, f"{row['parameters']:,}"]))
    console = make_console()
    console.print(table)
    metric = rows[0]["metric"]
    console.print(
        Text(
            f"Scores are {metric} of the winners, again: trained on fresh seeds or other splits; "
            "in brackets, 95 % intervals."
        )
    )


def show_plan(plan: dict[str, Any]) -> None:
    """Print what ``Plan.to_dict`` says."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    on_gpu = plan["device"] == "gpu"
    columns = {"batch size": "batch_size", "layers": "depth", "units": "width"}
    columns |= {"networks": "networks", "parameters": "parameters", "largest MiB": "largest_mib"}
    shown = {c: key for c, key in columns.items() if on_gpu or key not in ("depth", "width")}
    for column in (*shown, "padding" if on_gpu else "seconds"):
        table.add_column(column, justify="right")
    for row in plan["kinds"]:
        last = f"{row['padding']:.0%}" if on_gpu else f"{row['seconds']:,.1f}"
        table.add_row(*(Text(f"{row[key]:,}") for key in shown.values()), Text(last))
    console.print(table)
    limit = "unknown" if plan["memory_mib"] is None else f"{plan['memory_mib']:,} MiB"
    for line in (
        "",
        f"Workers   {plan['workers']}, a {'GPU' if on_gpu else 'process'} each, which take "
        f"{plan['portions']} portions",
        f"Memory    {plan['process_mib']:,} MiB a worker before it trains; all together may take "
        f"{limit}",
        "Training  on a GPU, in groups side by side; how fast it is was not measured"
        if on_gpu
        else f"Training  {plan['seconds']:,.1f} s by all workers, if no network stops early; on a "
        "CPU nothing is padded",
        *(
            f"Too large {plain(t['genome'])}: needs {t['memory_mib']:,} MiB"
            for t in plan["too_large"]
        ),
    ):
        console.print(Text(line))


def show_export(exported: dict[str, Any]) -> None:
    """Print where an exported model is, what goes in and comes out, and how near it is."""
    lines = [f"Wrote     {exported['path']}"]
    for heading in ("inputs", "outputs"):
        for i, (name, what) in enumerate(exported[heading].items()):
            label = heading.capitalize() if i == 0 else ""
            lines.append(f"{label:<10}{shortened(plain(name), 40)}: {shortened(plain(what), 100)}")
    lines.append(
        f"Checked   loaded again; of {exported['rows']} rows no prediction differs from the run's "
        f"by more than {exported['difference']:.1g}"
    )
    show_lines((line, "") for line in lines)


def show_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Print lines, each with a style."""
    console = make_console()
    for line, style in lines:
        console.print(Text(line, style))

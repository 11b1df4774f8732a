"""What a person sees of a run while it goes on: a line for each generation, and how it ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from evonet.config import RunConfig
from evonet.errors import plain
from evonet.evaluation import Evaluation
from evonet.metrics import Metric
from evonet.outcome import Baseline
from evonet.phrases import shortened
from evonet.progress import GenerationSummary, Observer, RunResult
from evonet.sentences import (
    data_lines,
    goal_line,
    result_lines,
    score_text,
    time_text,
)
from evonet.store.record import RunRecord

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
        self._folder: Path | None = None  # of the run, once it has one
        self._config = RunConfig()
        self._elapsed = 0.0
        self._began = 0.0  # when the first generation of this session did
        self._generations = self._tried = 0  # of this session
        self._tried_before = 0
        self._number = self._under_way = 0  # the generation that is trained, and how much of it

    def __enter__(self) -> TerminalObserver:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt and self._folder is not None:
            self._say_how_to_go_on(self._folder)

    def say(self, line: str = "", style: str = "") -> None:
        """One line, as it is: brackets and colons in it mean nothing."""
        self.console.print(Text(plain(line), style=style))

    def on_start(self, record: RunRecord, metric: Metric, config: RunConfig) -> None:
        self._config, self._folder = config, record.folder
        self._elapsed = sum(generation.seconds for generation in record.generations())
        self._tried_before = len(record.evaluations())
        self.say(f"Run {record.folder}", "bold")
        for line in data_lines(record.facts.data):
            self.say(line)
        self.say(goal_line(metric, config.objective))
        if config.backend != "loky":
            self.say(f"Cluster   {config.backend}, at {config.address or 'this machine'}")
        for baseline in record.facts.baselines:
            self.on_baseline(baseline)
        if generations := record.generations():
            best = metric.sign * generations[-1].population[0][1]
            self.say(
                f"Resumed   after generation {generations[-1].number}, {record.count_trainings()} "
                f"trainings and {time_text(record.search_seconds())}; best {score_text(best)}"
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
        self._number, self._under_way = number, 0
        self._show_bar(f"generation {number}", n_candidates)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self._under_way += 1
        if self._task is not None:
            note = score_text(evaluation.score) if evaluation.ok else evaluation.status
            self._progress.update(self._task, advance=1, note=note)

    def on_generation(self, summary: GenerationSummary) -> None:
        self._elapsed += summary.seconds
        self._generations += 1
        self._under_way = 0
        self._tried += summary.trained + summary.cached
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
        n = self._under_way
        rest = f" Generation {self._number} was under way, {n} of it done." if n else ""
        self.say(f"Search ended: {reason}.{rest}")
        self._show_bar("fitting the winner", None)

    def on_revalidation_start(self, n_finalists: int, n_repeats: int, on_splits: bool) -> None:
        on = "other splits of the rows" if on_splits else "fresh seeds"
        again = f"training the best {n_finalists} again, on {n_repeats} {on} each"
        if not self.console.is_terminal:  # where no bar says it
            self.say(f"          {again}")
        self._show_bar(again, n_finalists if on_splits else n_finalists * n_repeats)

    def on_end(self, result: RunResult) -> None:
        self._progress.stop()
        self.say()
        if result.interrupted:
            self._say_how_to_go_on(result.folder)
            return
        for line in result_lines(result):
            self.say(*line)

    def _say_how_to_go_on(self, folder: Path) -> None:
        self.say("Stopped. What was trained is kept, but for final fits; go on with:", "yellow")
        self.say(f"  evonet resume {quote(str(folder))}")

    def _show_bar(self, description: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, note="")

    def _left(self, number: int) -> str:
        """Time left by the limits that tell, at the pace of this session."""
        config, spent = self._config, time.monotonic() - self._began
        left = (config.max_generations - number) * spent / self._generations
        if config.max_minutes is not None:
            left = min(left, 60 * config.max_minutes - self._elapsed)
        if config.max_trainings is not None and self._tried:
            more = config.max_trainings - self._tried_before - self._tried
            left = min(left, more * spent / self._tried)
        return f"~{time_text(max(left, 0))}"

"""What commands print on the terminal: a run explained, tables of runs and plans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

from rich.table import Table
from rich.text import Text

from evonet.errors import RecordError, plain
from evonet.metrics import Interval
from evonet.phrases import shortened
from evonet.progress import read_result
from evonet.report.words import interval_text
from evonet.sentences import (
    data_lines,
    front_lines,
    goal_line,
    result_lines,
    score_text,
    time_text,
)
from evonet.store.folders import run_folders
from evonet.store.record import RunRecord
from evonet.terminal import make_console

_COLUMNS = ("run", "state", "data", "generation", "trainings", "metric", "validation", "test")


def show_run(record: RunRecord) -> None:
    """Explain a run to somebody who has never seen one."""
    console = make_console()
    result, data = read_result(record), record.facts.data

    def say(line: str = "", style: str = "") -> None:
        console.print(Text(plain(line), style=style))

    say(f"Run {record.folder}", "bold")
    for line in data_lines(data):
        say(line)
    objectives = record.objectives
    say(goal_line(result.metric, objectives))
    generations, stored = record.generations(), record.evaluations()
    n_failed = sum(s.origin == "trained" and not s.evaluation.ok for s in stored)
    n_dropped = sum(s.origin == "trained" and s.evaluation.dropped for s in stored)
    n_cached = sum(s.origin == "cached" for s in stored)
    if record.facts.given is not None:
        say("Search    none: one genome was given")
    else:
        last = f"generations 0 to {generations[-1].number}" if generations else "no generation yet"
        say(
            f"Search    {last}; {result.trainings} networks trained ({n_dropped} given up early, "
            f"{n_failed} failed), {n_cached} taken from the cache, {time_text(result.seconds)}"
        )
    if result.interrupted and (worker := record.claimed_by):
        say(f"State     going on: {worker}")
    elif result.interrupted:
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
                unfinished = "going on" if record.claimed_by else "unfinished"
                row |= {
                    "state": unfinished if result.interrupted else "done",
                    "data": record.facts.data.name,
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
    table.add_column("method, and what else differs")
    for column in ("seed", "trainings", "time", "search", "again", "test", "parameters"):
        table.add_column(column, justify="right")

    def with_interval(score: float | None, interval: Interval | None) -> str:
        return score_text(score) + (f" ({interval_text(interval)})" if interval else "")

    for row in rows:
        cells = [plain(row["run"]), plain(row["group"]), str(row["seed"]), f"{row['trainings']:,}"]
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
    loaded = "loaded again" if exported["predicts"] else "given the winner's weights"
    lines.append(
        f"Checked   {loaded}; of {exported['rows']} rows no prediction differs from the run's "
        f"by more than {exported['difference']:.1g}"
    )
    # As a block of its own, flush left, that can be pasted.
    lines += ["", *map(plain, exported["call"].splitlines())]
    show_lines((line, "") for line in lines)


def show_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Print lines, each with a style."""
    console = make_console()
    for line, style in lines:
        console.print(Text(line, style))

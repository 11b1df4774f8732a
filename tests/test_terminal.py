"""What the terminal says while a run goes on."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from planted import Planted, evaluation, facts, genome
from rich.console import Console

import evonet.terminal
from evonet.config import make_config
from evonet.metrics import METRICS
from evonet.progress import GenerationSummary
from evonet.terminal import TerminalObserver


class Record:
    """A run that was broken off after an hour and 40 trainings."""

    folder = Path("results/run")
    facts = facts(data_name="iris", baselines=())

    def generations(self) -> list[Any]:
        return [SimpleNamespace(number=3, population=[("key", 0.9)], seconds=3600.0)]

    def search_seconds(self) -> float:
        return 5390.0  # with what was begun of the next generation

    def count_trainings(self) -> int:
        return 30

    def evaluations(self) -> list[None]:
        return [None] * 40  # some of them from the cache


def left(monkeypatch: pytest.MonkeyPatch, **limits: Any) -> list[str]:
    """Time left after each of two generations of this session, of 10 s and 5 trainings each."""
    now, text = [0.0], StringIO()
    monkeypatch.setattr(evonet.terminal.time, "monotonic", lambda: now[0])
    observer = TerminalObserver(Console(file=text, width=200, soft_wrap=True))
    observer.on_start(Record(), METRICS["accuracy"], make_config(limits))  # type: ignore[arg-type]
    for number in (4, 5):
        observer.on_generation_start(number, 5)
        now[0] += 10
        # The first one took what the session before had begun, too.
        seconds = 1800.0 if number == 4 else 10.0
        summary = GenerationSummary(number, 0.9, 0.8, genome(0), 5, 0, 0, 0, seconds)
        observer.on_generation(summary)
    lines = [line for line in text.getvalue().splitlines() if "~" in line]
    return [line[line.index("~") :].split("  ")[0] for line in lines]


def test_time_left_goes_by_the_pace_of_this_session(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left(monkeypatch, generations=9) == ["~0:50", "~0:40"]


def test_time_left_goes_by_the_limit_that_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left(monkeypatch, generations=9, max_trainings=60) == ["~0:30", "~0:20"]
    assert left(monkeypatch, generations=9, max_minutes=90.6) == ["~0:36", "~0:26"]
    assert left(monkeypatch, generations=9, max_trainings=45) == ["~0:00", "~0:00"]


def test_who_is_stopped_at_once_is_told_how_to_go_on() -> None:
    text = StringIO()
    observer = TerminalObserver(Console(file=text, width=200, soft_wrap=True))
    observer.on_start(Record(), METRICS["accuracy"], make_config({}))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt), observer:
        raise KeyboardInterrupt
    assert text.getvalue().endswith("go on with:\n  evonet resume results/run\n")


def test_a_generation_that_was_broken_off_is_said() -> None:
    text = StringIO()
    observer = TerminalObserver(Console(file=text, width=200, soft_wrap=True))
    observer.on_start(Record(), METRICS["accuracy"], make_config({}))  # type: ignore[arg-type]
    observer.on_generation_start(0, 1)
    observer.on_evaluation(evaluation(Planted(genome(0), 0.9)))
    observer.on_generation(GenerationSummary(0, 0.9, 0.8, genome(0), 1, 0, 0, 0, 1.0))
    observer.on_generation_start(1, 5)
    for i in range(3):
        observer.on_evaluation(evaluation(Planted(genome(i), 0.9)))
    observer.on_search_end("3 networks are tried")
    said = "Search ended: 3 networks are tried. Generation 1 was under way, 3 of it done.\n"
    assert text.getvalue().endswith(said)

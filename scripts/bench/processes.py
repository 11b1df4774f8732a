"""Jobs: functions that run in a process of their own, which is timed from its start to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import peak_memory

_SCRIPTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finished:
    """A job that came to its end.

    Attributes:
        seconds: from the start of its process to its end.
        peak_mib: the most memory that it and its worker processes held at one time.
        result: what the job returned.
    """

    seconds: float
    peak_mib: float
    result: dict[str, Any]


#: The jobs that run now; each leads a process group, in which its workers are as well.
_running: set[subprocess.Popen] = set()


class JobError(Exception):
    """A job ended without a result."""


def end_jobs_with_this_process() -> None:
    """Ctrl-C, or a request to end, takes along the jobs, which are in sessions of their own."""

    def end(number: int, _frame: object) -> None:
        for process in list(_running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def run_job(
    name: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    most_seconds: float | None = None,
) -> Finished:
    """Run a job of ``child.JOBS`` in a new process.

    Args:
        name: which job.
        arguments: its arguments, as JSON can hold them.
        environment: variables to set for it.
        most_seconds: end it, workers and all, once it has run that long.

    Raises:
        JobError: the process failed, and the message ends with the last line it wrote; or it was
            ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        order, answer, noise = (Path(folder) / n for n in ("order.json", "answer.json", "noise"))
        order.write_text(json.dumps({"job": name, "arguments": arguments}), "utf-8")
        path = os.pathsep.join(filter(None, [str(_SCRIPTS), os.environ.get("PYTHONPATH")]))
        with noise.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.child", str(order), str(answer)],
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=_SCRIPTS,  # which Python searches first: evonet is the one of this process
                start_new_session=True,  # by which its workers are found
            )
            _running.add(process)
            try:
                with peak_memory(process.pid) as peak:
                    code = process.wait(most_seconds)
                    seconds = time.perf_counter() - started
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise JobError(f"{name} was ended after {most_seconds:.0f} s") from None
            finally:
                _running.discard(process)
        if code or not answer.exists():
            lines = noise.read_text("utf-8", "replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            raise JobError(f"{name} ended with exit code {code}: {last.strip()[:300]}")
        return Finished(seconds, peak[0], json.loads(answer.read_text("utf-8")))

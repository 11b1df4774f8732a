"""What the figures were measured with: versions, the machine, memory in use."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "evonet",
    "tensorflow",
    "keras",
    "numpy",
    "scikit-learn",
    "keras-tuner",
    "optuna",
    "flaml",
    "jax",
)
_MEMORY_EVERY_SECONDS = 0.5


def versions() -> dict[str, str]:
    """The version of Python and of each package; "not installed" where it is not."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def machine() -> dict[str, object]:
    """CPU model, cores this process may use, and memory."""
    return {"cpu": _cpu_model(), "cores": len(cores()), "memory_gib": _memory_gib()}


def cores() -> list[int]:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def use_cores(count: int) -> None:
    """Keep this process, and all that it starts, to that many cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:count])


def session_memory_mib(session: int) -> float | None:
    """Resident memory of all processes of a session; None where there is no ``/proc``.

    Pages that processes share count once for each of them.
    """
    if not Path("/proc/self/stat").exists():
        return None
    pages = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text("utf-8", "replace")
        except OSError:  # it has ended
            continue
        fields = stat.rpartition(")")[2].split()  # from the third field of proc(5) on
        if int(fields[3]) == session:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def peak_memory(session: int) -> Iterator[list[float]]:
    """Watch a session's memory; the list's first item becomes its peak so far, in MiB."""
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], session_memory_mib(session) or 0.0)
            done.wait(_MEMORY_EVERY_SECONDS)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    said = {}
    for line in reversed(lines):  # of the first core
        name, _, value = line.partition(":")
        said[name.strip()] = value.strip()
    if "model name" not in said:
        return platform.machine()
    kind = ", ".join(f"{n.split()[-1]} {said[n]}" for n in ("cpu family", "model") if n in said)
    return said["model name"] + (f" ({kind})" if kind else "")


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None

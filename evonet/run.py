"""What can be asked of evonet, as functions: evolve, resume, train, plan, save a population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from evonet.config import RunConfig
from evonet.errors import RecordError
from evonet.genome import Genome, SearchSpace
from evonet.genome.files import read_genomes, starters, write_genomes
from evonet.loop import run_session
from evonet.progress import Observer, RunResult
from evonet.session import Session
from evonet.setup import Setup
from evonet.store.record import RunRecord
from evonet.training.plan import Plan


def evolve(
    config: RunConfig,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Evolve networks on the data of a config, in a new run folder.

    Args:
        config: every setting of the run.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept that was
            trained, but for final fits.

    Returns:
        What came out; without a winner if the session was stopped.

    Raises:
        EvonetError: the data, the space or a setting cannot work, or no training can succeed.
    """
    space = _space(config)
    founders = _founders(config, space)
    session = Session.new(config, space, founders, None, observer or Observer(), should_stop)
    return run_session(session)


def resume(
    folder: Path,
    changes: dict[str, Any] | None = None,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Go on with a run until its own limits, or changed ones, are reached.

    Args:
        folder: the run's folder.
        changes: new limits by setting name, such as ``{"generations": 40}``; given any, the old
            limits hold no more (that of generations only where minutes or trainings have one). Or
            where it trains from now on:
            ``workers``, ``training_timeout``, ``backend``, ``address``.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept that was
            trained, but for final fits.

    Returns:
        What came out; without a new winner if the session was stopped.

    Raises:
        RecordError: there is no run at ``folder``, or it cannot be read.
        DataError: the data are not what they were.
    """
    return run_session(Session.stored(folder, changes or {}, observer or Observer(), should_stop))


def train(
    genome: Genome,
    config: RunConfig,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Fit one genome as a run fits its winner, in a new run folder, without a search.

    Args:
        genome: what to fit.
        config: every setting of the run.
        observer: told what happens.
        should_stop: asked between fits; True ends the session.

    Returns:
        What came out; its winner is the network of the genome.

    Raises:
        EvonetError: the data cannot be learned from, or the training failed.
    """
    space = SearchSpace.default()
    session = Session.new(config, space, [], genome, observer or Observer(), should_stop)
    return run_session(session)


def plan(config: RunConfig, genomes: Sequence[Genome] = ()) -> Plan:
    """How the fused engine would train, without training.

    Args:
        config: every setting of the run.
        genomes: what to train; empty for the first generation that ``evolve`` would train.

    Raises:
        EvonetError: the data, the space or a setting cannot work.
    """
    space = _space(config)
    return Setup.new(config, space, _founders(config, space)).plan(genomes)


def save_population(folder: Path, file: Path) -> int:
    """Write the last population of a run to a file of genomes.

    Args:
        folder: the run's folder.
        file: where to write; a file that is there is replaced.

    Returns:
        How many genomes were written.

    Raises:
        RecordError: there is no run, it has no finished generation, or the file cannot be written.
    """
    with RunRecord(folder) as record:
        generations, stored = record.generations(), record.evaluations()
    if not generations:
        raise RecordError(
            f"{folder} has no finished generation yet. Go on with it: "
            f"evonet resume {quote(str(folder))}"
        )
    last = generations[-1]
    by_key = {s.genome.key: s for s in stored}
    members = [by_key[key] for key, _ in last.population]
    source = f"run {folder.name}, generation {last.number}, validation score"
    try:
        write_genomes(
            file,
            [
                (f"rank {rank}", f"{source} {m.evaluation.score:.6g}", m.genome)
                for rank, m in enumerate(members)
            ],
        )
    except OSError as error:
        raise RecordError(f"Cannot write {file}: {error.strerror}.") from None
    return len(members)


def _space(config: RunConfig) -> SearchSpace:
    """The space to search, with its pinned genes."""
    space = SearchSpace.from_file(config.space) if config.space else SearchSpace.default()
    for gene, text in config.pins:
        space = space.fix(gene, text)
    return space


def _founders(config: RunConfig, space: SearchSpace) -> list[Genome]:
    """The genomes to start with, before they are adopted: the user's, or a few that often work."""
    if config.population:
        return list(read_genomes(config.population))
    if config.method != "ga":  # to be compared with: what often works here is ga's to know
        return []
    return [genome for genome in starters() if space.admits(genome)]

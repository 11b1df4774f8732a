"""TensorBoard's event files: a run for each candidate, and a row of its HParams dashboard.

Written with TensorBoard's own protocol buffers and record format, without TensorFlow. A candidate's
file appears whole, under a name that follows from its generation and slot: what is there is
complete and is not written again. https://www.tensorflow.org/tensorboard/hyperparameter_tuning_with_hparams
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import (
    Discrete,
    Domain,
    HParam,
    Metric,
    RealInterval,
    hparams_config_pb,
    hparams_pb,
)
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from evonet.genome.space import Gene
from evonet.logs.candidates import Entry, entries, gene_of, hyperparameter_names, hyperparameters
from evonet.outcome import Winner
from evonet.store.exports import exporting
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate

FOLDER = "tensorboard"
#: TensorBoard reads every file with "tfevents" in its name.
_FILE = "events.out.tfevents.evonet"
_VERSION = "brain.Event:2"
#: What an evaluation says besides its score and its curves.
_RESULTS = ("parameters", "inference_ms", "seconds", "epochs", "best_epoch")


def export_event_files(folder: Path) -> int:
    """Write the event files of a run that are not there yet; how many candidates they are of.

    Raises:
        RecordError: there is no run in the folder, or its files cannot be written.
    """
    with RunRecord(folder) as record:
        return write_event_files(record, "to-tensorboard")


def write_event_files(record: RunRecord, command: str = "resume") -> int:
    """The same of an open record.

    Args:
        record: of the run.
        command: the one to go on with, should the files not be written.
    """
    folder = record.folder / FOLDER
    with exporting(record.folder, command):
        folder.mkdir(exist_ok=True)
        there = {path.parent.name for path in folder.glob(f"*/{_FILE}")}
        if not (folder / _FILE).is_file():
            _write(folder, _experiment_events(record))
        count = 0
        for entry in entries(record, lambda candidate: run_name(candidate) not in there):
            name = run_name(entry.candidate)
            _write(folder / name, _candidate_events(entry, name))
            count += 1
        for number, stored in enumerate(record.winners(), start=1):
            if (name := f"winner-{number}") not in there:
                _write(folder / name, _winner_events(stored.winner))
    return count


def run_name(candidate: StoredCandidate) -> str:
    """The name of a candidate's run: generation and slot."""
    return f"{candidate.generation:04}-{candidate.slot:04}"


def _write(folder: Path, events: Iterable[Event]) -> None:
    """One event file, which appears whole."""
    folder.mkdir(exist_ok=True)
    unfinished = folder / f"unfinished-{os.getpid()}"
    with unfinished.open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
    unfinished.replace(folder / _FILE)


def _experiment_events(record: RunRecord) -> list[Event]:
    """The columns of the HParams dashboard: genes that differ, and results, the score first."""
    facts = record.facts
    metric, space = facts.metric, facts.space
    depths = [*space.depths, *(len(genome.layers) for genome in facts.founders)]
    genes = {name: space.genes[gene_of(name)] for name in hyperparameter_names(max(depths))}
    columns = [HParam(name, _domain(g)) for name, g in genes.items() if len(g.values) > 1]
    better = "higher" if metric.maximise else "lower"
    score = Metric(
        "score", description=f"{metric.name} on the validation part; {better} is better."
    )
    unmeasured = {"inference_ms"} - set(facts.config.objective)
    results = [Metric(name) for name in _RESULTS if name not in unmeasured]
    began = facts.started or time.time()
    summary = hparams_config_pb(columns, [score, *results], began)
    return [Event(wall_time=began, file_version=_VERSION), Event(wall_time=began, summary=summary)]


def _domain(gene: Gene) -> Domain:
    """What a gene may be; of names all that there are, since founders may lie outside the space."""
    if not gene.kind.ordered:
        return Discrete(gene.kind.names)
    return RealInterval(float(gene.values[0]), float(gene.values[-1]))


def _candidate_events(entry: Entry, name: str) -> list[Event]:
    """All of one candidate: its genes, learning curves and results."""
    e, began = entry.stored.evaluation, entry.began
    ended = began + e.seconds
    genes = hyperparameters(entry.stored.genome)
    results = {"score": e.score} | {name: getattr(e, name) for name in _RESULTS}
    return [
        Event(wall_time=began, file_version=_VERSION),
        Event(wall_time=began, summary=hparams_pb(genes, name, began)),
        Event(wall_time=began, summary=text_pb("candidate", _in_words(entry))),
        *_curves(e.train_loss, e.validation_loss, began, ended),
        *(
            Event(wall_time=ended, step=rung.epoch, summary=_scalars({"rung_score": rung.score}))
            for rung in e.rungs
        ),
        Event(wall_time=ended, step=e.epochs, summary=_scalars(results)),
        Event(wall_time=ended, summary=_session_end(e.ok, ended)),
    ]


def _winner_events(winner: Winner) -> list[Event]:
    """A final fit. It is no candidate, and no row of the HParams dashboard."""
    now, losses = time.time(), (winner.train_loss, winner.validation_loss)
    results = {"score": winner.validation_score, "test_score": winner.test_score}
    return [
        Event(wall_time=now, file_version=_VERSION),
        *_curves(*losses, now, now),
        Event(wall_time=now, step=len(losses[0]), summary=_scalars(results)),
    ]


def _curves(
    train_loss: Sequence[float], validation_loss: Sequence[float], began: float, ended: float
) -> list[Event]:
    """An event for each epoch, from 1; it holds both losses."""
    losses = list(zip_longest(train_loss, validation_loss))
    return [
        Event(
            wall_time=began + (ended - began) * epoch / len(losses),
            step=epoch,
            summary=_scalars({"train_loss": train, "validation_loss": validation}),
        )
        for epoch, (train, validation) in enumerate(losses, start=1)
    ]


def _scalars(values: Mapping[str, float | None]) -> Summary:
    """Numbers by tag, without those that are None."""
    known = {tag: value for tag, value in values.items() if value is not None}
    return Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in known.items()])


def _session_end(ok: bool, ended: float) -> Summary:
    """How a training ended. TensorBoard's own function for it would load TensorFlow."""
    status = api_pb2.STATUS_SUCCESS if ok else api_pb2.STATUS_FAILURE
    info = SessionEndInfo(status=status, end_time_secs=ended)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(HParamsPluginData(session_end_info=info)),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _in_words(entry: Entry) -> bytes:
    """A candidate as text. TensorBoard reads it as Markdown: four spaces make it literal."""
    candidate, e = entry.candidate, entry.stored.evaluation
    outcome = "dropped" if e.dropped else e.status
    lines = [
        str(entry.stored.genome),
        f"genome {candidate.genome_key}",
        " ".join(["from", candidate.operator, *candidate.parents]),
        f"{outcome}: {e.reason}" if e.reason else outcome,
    ]
    text = "\n".join("    " + " ".join(line.splitlines()) for line in lines)
    return text.encode("utf-8", "replace")

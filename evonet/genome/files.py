"""Files of genomes: one format for one genome and for a population, written and read as plain JSON.

::

    {"format": "evonet-genomes/1",
     "genomes": [{"name": ..., "source": ..., "genome": {"layers": [...], ...}}, ...]}

``name`` and ``source`` are for people and may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

from evonet.errors import GenomeError, shown
from evonet.genome.genome import Genome
from evonet.replacing import replacing

FORMAT = "evonet-genomes/1"


def read_genomes(path: Path) -> tuple[Genome, ...]:
    """The genomes of a file, in its order.

    Raises:
        GenomeError: the file is missing, is not JSON, is of another format, is empty, or one
            of its genomes is not valid.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise GenomeError(f"Cannot read genomes from {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise GenomeError(f"{path} is not a file of genomes: it is not JSON ({error}).") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise GenomeError(f'{path} is not a file of genomes: expected "format": "{FORMAT}".')
    entries = record.get("genomes")
    if not isinstance(entries, list) or not entries:
        raise GenomeError(f"{path} has no genomes; expected a list with at least one.")
    genomes = []
    for i, entry in enumerate(entries):
        where = f"{path}, genome {i}"
        if not isinstance(entry, dict):
            raise GenomeError(f"{where}: found {shown(entry)}; expected an object.")
        genomes.append(Genome.from_dict(entry.get("genome"), where))
    return tuple(genomes)


def starters() -> tuple[Genome, ...]:
    """The genomes that ship with evonet: a few that often work, for a first generation."""
    with as_file(files("evonet.genome") / "starters.json") as path:
        return read_genomes(path)


def write_genomes(path: Path, genomes: Iterable[tuple[str, str, Genome]]) -> None:
    """Write (name, source, genome) triples to a file that ``read_genomes`` reads.

    Raises:
        OSError: it cannot be written; a file that was there is kept.
    """
    entries = [
        {"name": name, "source": source, "genome": genome.to_dict()}
        for name, source, genome in genomes
    ]
    text = json.dumps({"format": FORMAT, "genomes": entries}, indent=2) + "\n"
    with replacing(path) as new:
        new.write_text(text, "utf-8")

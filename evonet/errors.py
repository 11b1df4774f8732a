"""Everything evonet raises on purpose. Anything else that escapes is a bug.

Every message says what was expected, what was found, where, and what to do about it, on one line.
"""

from unicodedata import category


class EvonetError(Exception):
    """Base of all errors a user can act on. Exit code 1 on the command line."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        # One line that no terminal obeys, whatever names it quotes.
        super().__init__(plain(" ".join(message.splitlines())))


class ConfigError(EvonetError):
    """A setting has a value that cannot work. Exit code 2: wrong usage."""

    exit_code = 2


class DataError(EvonetError):
    """The data cannot be read, or cannot be learned from as they are."""


class GenomeError(EvonetError):
    """A genome, or a file of genomes, is not valid."""


class SpaceError(EvonetError):
    """A search space is not valid, or does not contain a genome it should."""


class RecordError(EvonetError):
    """A run folder or a score cache is missing, damaged, full or of another version."""


class DamageError(RecordError):
    """A record or a cache is not what was written: a disk or a program changed it."""


class TrainingError(EvonetError):
    """No training can succeed, so that going on would be of no use."""


class ExportError(EvonetError):
    """A model cannot be written in another format, or is not what it came from."""


def plain(text: object) -> str:
    """Text from data or files with nothing in it that a terminal would obey.

    Example:
        >>> plain("a\x1b[2Jb 東京\u3000駅") == "a�[2Jb 東京\u3000駅"
        True
    """
    return "".join(c if c.isprintable() or category(c) == "Zs" else "�" for c in str(text))


def shown(value: object) -> str:
    """A value as it stands in a message: on one line, at most 80 characters of it.

    Example:
        >>> shown("nine"), len(shown([0] * 1000))
        ("'nine'", 80)
    """
    try:
        return f"{value!r:.80}"
    except (ValueError, RecursionError):  # more digits or more levels than Python writes
        return f"too large {type(value).__name__}"

"""``python -m evonet``, the same as the console command ``evonet``."""

from __future__ import annotations

import sys

from evonet.errors import EvonetError

_DEBUG = "--debug"
_NO_MEMORY = (
    "evonet: This machine has no memory left. End what else runs, or pass fewer rows or columns. "
    "A run keeps what it has trained: go on with evonet resume."
)


def main() -> None:
    """Run the command line; a user's mistake ends in one line and an exit code."""
    from evonet.cli import app

    debug = _DEBUG in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != _DEBUG], prog_name="evonet")
    except EvonetError as error:
        if debug:
            raise
        print(f"evonet: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except MemoryError:
        if debug:
            raise
        print(_NO_MEMORY, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

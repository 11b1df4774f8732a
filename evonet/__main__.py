"""``python -m evonet``, the same as the console command ``evonet``."""

from __future__ import annotations

import sys

from evonet.errors import EvonetError

_DEBUG = "--debug"


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


if __name__ == "__main__":
    main()

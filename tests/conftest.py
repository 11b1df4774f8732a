"""What many tests share: the folder of real data, and how an error for users has to look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from evonet.errors import DataError

# Compiled code is kept from one run of the tests to the next, apart from the user's own.
os.environ.setdefault("EVONET_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "programs"))

# No deadline: the machine may be shared.
settings.register_profile("evonet", max_examples=50, deadline=None)
settings.load_profile("evonet")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that use it are skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not on this machine: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def refuses() -> Callable[[str], AbstractContextManager[None]]:
    """``with refuses("pattern"):`` expects a DataError that matches, on a single line."""

    @contextmanager
    def expected(pattern: str) -> Iterator[None]:
        with pytest.raises(DataError, match=pattern) as caught:
            yield
        assert len(str(caught.value).splitlines()) == 1

    return expected

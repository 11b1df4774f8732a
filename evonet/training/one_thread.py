"""One thread for each training: sums depend on how many there are, and workers take the cores."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Inside, BLAS takes one thread.

    Libraries are looked for once: to do so takes as long as training a small network for an epoch.
    """
    return _pools().limit(limits=1)


@cache
def _pools() -> ThreadpoolController:
    import numpy  # noqa: F401 - whose libraries are to be found
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()

"""Loading Keras and TensorFlow: late, once, and without their noise on the user's terminal."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from evonet.errors import TrainingError


@cache
def load_keras() -> Any:
    """The ``keras`` module, imported on the first call.

    TensorFlow's C++ parts write to the standard error of the process before any logger can be
    set. What they write is held back, and shown only if the import fails.

    Raises:
        TrainingError: TensorFlow or Keras cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums in the same order
    with _held_back_stderr() as written:
        try:
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)
            import keras
        except Exception as error:
            raise TrainingError(
                f"TensorFlow cannot be imported: {error} {written()[-500:]} "
                "Reinstall evonet in a fresh environment."
            ) from error
    return keras


@contextmanager
def _held_back_stderr() -> Iterator[Any]:
    """Send the process's standard error to a file for a while; yields a function that reads it."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)

        def written() -> str:
            file.seek(0)
            return " ".join(file.read().decode(errors="replace").split())

        try:
            yield written
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)

"""What differs between Keras' backends, and loading them: late, once, without their noise.

TensorFlow is the default; ``KERAS_BACKEND=jax`` in the environment chooses JAX.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from evonet.errors import TrainingError
from evonet.training.cache_folder import cache_folder

#: The backends of Keras that evonet can train with; the first is the default.
BACKENDS = ("tensorflow", "jax")


@cache
def load_keras() -> Any:
    """The ``keras`` module, imported on the first call.

    TensorFlow's C++ parts write to the standard error of the process before any logger can be
    set. What they write is held back, and shown only if the import fails.

    Raises:
        TrainingError: Keras or its backend cannot be imported.
    """
    name = os.environ.setdefault("KERAS_BACKEND", BACKENDS[0])
    if name not in BACKENDS:
        raise TrainingError(
            f"KERAS_BACKEND is {name!r}; expected one of {', '.join(BACKENDS)}. Unset it for the "
            "default."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums in the same order
    with held_back_stderr() as written:
        try:
            {"tensorflow": _prepare_tensorflow, "jax": _prepare_jax}[name]()
            import keras
        except Exception as error:
            install = "Install evonet[jax]" if name == "jax" else "Reinstall evonet"
            raise TrainingError(
                f"{name} cannot be imported: {error} {written()[-500:]} "
                f"{install} in a fresh environment."
            ) from error
    return keras


@cache
def load_backend() -> Backend:
    """The backend that this process trains with, loaded on the first call."""
    keras = load_keras()
    return {"tensorflow": TensorFlow, "jax": Jax}[keras.backend.backend()](keras)


def find_device(device: str) -> str:
    """What to train on: "cpu" or "gpu". Loads the backend only where there may be a GPU.

    Args:
        device: "auto", "cpu" or "gpu".

    Raises:
        TrainingError: a GPU is asked for and there is none.
    """
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    if device == "cpu" or (device == "auto" and not driver):
        return "cpu"
    if not load_backend().devices()[0].startswith("cpu"):
        return "gpu"
    if device == "auto":
        return "cpu"
    raise TrainingError(
        f"{load_keras().backend.backend()} finds no GPU. Install evonet[gpu] or evonet[jax] "
        "for it, or leave out --device."
    )


def mapped(function: Callable[..., Any], *nested: Any) -> Any:
    """Nested named tuples of what a function makes of the parts of others that are nested alike."""
    first = nested[0]
    if not isinstance(first, tuple):
        return function(*nested)
    parts = [mapped(function, *some) for some in zip(*nested, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


class Backend:
    """What a program needs besides ``keras.ops``.

    Attributes:
        keras: the ``keras`` module.
        ops: ``keras.ops``.
    """

    def __init__(self, keras: Any) -> None:
        self.keras, self.ops = keras, keras.ops

    def compiled(self, function: Callable[..., Any]) -> Any:
        """A function of tensors in nested named tuples as one program, compiled when called."""
        raise NotImplementedError

    def tensors(self, arrays: Any) -> Any:
        """Nested named tuples of arrays as tensors on the device."""
        return mapped(self.ops.convert_to_tensor, arrays)

    def gradient(self, function: Callable[[Any], tuple[Any, Any]], inputs: Any) -> tuple[Any, Any]:
        """What else a function returns beside a number, and the number's gradient by the inputs."""
        raise NotImplementedError

    def devices(self) -> list[str]:
        """What programs can run on, as Keras names it: all GPUs, or the CPU where there is none."""
        return self.keras.distribution.list_devices()

    def on(self, device: int) -> AbstractContextManager[None]:
        """What this thread computes within it is computed on one of the devices."""
        return self.keras.device(self.devices()[device])

    def activation(self, name: str) -> Callable[[Any], Any]:
        """The activation that Keras knows by this name."""
        return self.keras.activations.get(name)

    def loss(self, name: str) -> Callable[[Any, Any, Any], Any]:
        """A loss of rows: of ``(n,)`` truths, ``(n, n_outputs)`` outputs, ``(n,)`` smoothing."""
        ops, losses = self.ops, self.keras.losses

        def classes(y: Any, outputs: Any, smoothing: Any) -> Any:
            n = outputs.shape[1]
            share = smoothing[:, None]
            truth = ops.one_hot(ops.cast(y, "int32"), n) * (1 - share) + share / n
            return ops.categorical_crossentropy(truth, outputs, from_logits=True)

        def two_classes(y: Any, outputs: Any, smoothing: Any) -> Any:
            truth = (y * (1 - smoothing) + 0.5 * smoothing)[:, None]
            return ops.binary_crossentropy(truth, outputs, from_logits=True)[:, 0]

        numbers = {
            "mse": losses.mean_squared_error,
            "mae": losses.mean_absolute_error,
            "huber": losses.huber,
        }
        if name in numbers:
            return lambda y, outputs, _: numbers[name](y[:, None], outputs)
        return two_classes if name == "binary_crossentropy" else classes


class TensorFlow(Backend):
    """Keras on TensorFlow."""

    def compiled(self, function: Callable[..., Any]) -> Any:
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)

    def gradient(self, function: Callable[[Any], tuple[Any, Any]], inputs: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(inputs)
            number, rest = function(inputs)
        zero = tf.UnconnectedGradients.ZERO
        return rest, tape.gradient(number, inputs, unconnected_gradients=zero)


class Jax(Backend):
    """Keras on JAX."""

    def compiled(self, function: Callable[..., Any]) -> Any:
        import jax

        return jax.jit(function, donate_argnums=0)

    def gradient(self, function: Callable[[Any], tuple[Any, Any]], inputs: Any) -> tuple[Any, Any]:
        import jax

        d, rest = jax.grad(function, has_aux=True)(inputs)
        return rest, d


def _prepare_tensorflow() -> None:
    if folder := cache_folder():
        _add_to_environment("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={folder}")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    tf.config.experimental.enable_tensor_float_32_execution(False)  # float32 is float32
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _prepare_jax() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or it takes the whole GPU
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")  # float32 is float32
    if folder := cache_folder():
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _add_to_environment(variable: str, flag: str) -> None:
    """Add a flag to a variable that holds several, unless it stands there."""
    flags = os.environ.get(variable, "").split()
    if flag not in flags:
        os.environ[variable] = " ".join([*flags, flag])


@contextmanager
def held_back_stderr() -> Iterator[Any]:
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

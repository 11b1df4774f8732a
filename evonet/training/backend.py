"""What differs between Keras' backends, and loading them: late, once, without their noise.

TensorFlow is the default; ``KERAS_BACKEND=jax`` in the environment chooses JAX.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from evonet.errors import TrainingError

#: The backends of Keras that evonet can train with; the first is the default.
BACKENDS = ("tensorflow", "jax")
#: The variable that names the folder of compiled programs; empty for none.
CACHE_VARIABLE = "EVONET_CACHE"


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
    with _held_back_stderr() as written:
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


def limit_threads(n: int) -> None:
    """Let this process compute with ``n`` threads; only before the backend is loaded."""
    os.environ["OMP_NUM_THREADS"] = str(n)
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(n)
    single = "false" if n == 1 else "true"
    _add_to_environment("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen={single}")
    _add_to_environment("XLA_FLAGS", f"intra_op_parallelism_threads={n}")


def choose_device(device: str) -> None:
    """Say what to train on, before the backend is loaded: "auto", "cpu" or "gpu".

    Raises:
        TrainingError: a GPU is asked for and there is none.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif device == "gpu" and load_backend().device() == "CPU":
        raise TrainingError(
            f"{load_keras().backend.backend()} finds no GPU. Install evonet[gpu] or evonet[jax] "
            "for it, or pass --device auto."
        )


class Backend:
    """What a program needs besides ``keras.ops``.

    Attributes:
        keras: the ``keras`` module.
        ops: ``keras.ops``.
    """

    def __init__(self, keras: Any) -> None:
        self.keras, self.ops = keras, keras.ops

    def compiled(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """The function as one compiled program.

        Args:
            function: of tensors in nested named tuples; the first argument may be overwritten.
            arguments: arrays of the shapes and types that it will be called with.
        """
        raise NotImplementedError

    def tensors(self, arrays: Any) -> Any:
        """Nested named tuples of arrays as tensors on the device."""
        if not isinstance(arrays, tuple):
            return self.ops.convert_to_tensor(arrays)
        parts = [self.tensors(part) for part in arrays]
        return type(arrays)(*parts) if hasattr(arrays, "_fields") else tuple(parts)

    def vjp(self, function: Callable[..., Any], inputs: Sequence[Any], d: Any) -> tuple[Any, ...]:
        """The gradients by the inputs, given the gradient ``d`` by what the function returns."""
        raise NotImplementedError

    def slice(self, array: Any, start: Sequence[Any], shape: Sequence[int]) -> Any:
        """``ops.slice`` from a place that the program learns only when it runs."""
        return self.ops.slice(array, start, shape)

    def device(self) -> str:
        """What programs run on, in words."""
        raise NotImplementedError

    def out_of_memory(self, error: Exception) -> bool:
        """Whether an error of a program says that memory did not suffice."""
        raise NotImplementedError

    def activation(self, name: str) -> Callable[[Any], Any]:
        """The activation that Keras knows by this name."""
        return self.keras.activations.get(name)

    def loss(self, name: str) -> Callable[[Any, Any, Any], Any]:
        """A loss of rows: of ``(n,)`` truths, ``(n, n_outputs)`` outputs and the smoothing."""
        ops, losses = self.ops, self.keras.losses

        def classes(y: Any, outputs: Any, smoothing: Any) -> Any:
            n = outputs.shape[1]
            truth = ops.one_hot(ops.cast(y, "int32"), n) * (1 - smoothing) + smoothing / n
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

    def compiled(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        import tensorflow as tf

        # Traced at once: the cache on disk knows programs by names that count what this process
        # has traced before (see Trainer.prepare).
        specs = tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), arguments)
        return tf.function(function, jit_compile=True, autograph=False).get_concrete_function(
            *specs
        )

    def vjp(self, function: Callable[..., Any], inputs: Sequence[Any], d: Any) -> tuple[Any, ...]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = function(*inputs)
        zero = tf.UnconnectedGradients.ZERO
        return tuple(tape.gradient(value, list(inputs), d, unconnected_gradients=zero))

    def slice(self, array: Any, start: Sequence[Any], shape: Sequence[int]) -> Any:
        # tf.slice makes its start a constant of the program, which is then compiled for each.
        from tensorflow.compiler.tf2xla.python.xla import dynamic_slice

        return dynamic_slice(array, start, shape)

    def device(self) -> str:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return "CPU"
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")

    def out_of_memory(self, error: Exception) -> bool:
        import tensorflow as tf

        return isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)


class Jax(Backend):
    """Keras on JAX."""

    def compiled(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],  # noqa: ARG002 - JAX traces at the first call
    ) -> Any:
        import jax

        return jax.jit(function, donate_argnums=0)

    def vjp(self, function: Callable[..., Any], inputs: Sequence[Any], d: Any) -> tuple[Any, ...]:
        import jax

        return jax.vjp(function, *inputs)[1](d)

    def device(self) -> str:
        import jax

        device = jax.devices()[0]
        return "CPU" if device.platform == "cpu" else device.device_kind

    def out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _prepare_tensorflow() -> None:
    if folder := _cache_folder():
        _add_to_environment("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={folder}")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _prepare_jax() -> None:
    import jax

    if folder := _cache_folder():
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _cache_folder() -> Path | None:
    """The folder of compiled programs, made where it is missing; None for no cache.

    It belongs to the user alone, since what lies in it is executed: never to a run, whose folder
    may come from a stranger.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given == "":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(given) if given else Path(home) / "evonet"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def _add_to_environment(variable: str, flag: str) -> None:
    """Add a flag to a variable that holds several, unless it stands there."""
    flags = os.environ.get(variable, "").split()
    if flag not in flags:
        os.environ[variable] = " ".join([*flags, flag])


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

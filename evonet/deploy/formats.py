"""The formats a winner can be exported to: each is written, and read again by its own runtime."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from evonet.champion.predictor import Predictor
from evonet.data.files import Features
from evonet.data.preparation import ImagePreparation
from evonet.deploy.script import training_script
from evonet.deploy.script_network import Training
from evonet.deploy.serving import feed, places, serving_model
from evonet.deploy.signature import IMAGE, plain_names, signature_of
from evonet.training.backend import load_keras

#: The signature of a model whose file has no room for it.
SIGNATURE_FILE = "signature.json"


@dataclass(frozen=True)
class Format:
    """A way to export.

    Attributes:
        suffix: of the file's name; a folder has none.
        write: (predictor, how it was trained, where to write).
        predict: (predictor, what was written, raw rows) to predictions as ``Target.predictions``
            gives them, by the format's own runtime.
        needs: packages besides those that evonet always has.
        ensembles: whether several networks can be one model.
    """

    suffix: str
    write: Callable[[Predictor, Training, Path], None]
    predict: Callable[[Predictor, Path, Features], np.ndarray]
    needs: tuple[str, ...] = ()
    ensembles: bool = True


def input_names(predictor: Predictor, plain: bool) -> dict[str, str]:
    """Of each column the name of its input: its own where the format takes it."""
    if isinstance(predictor.preparation, ImagePreparation):
        return {IMAGE: IMAGE}
    names = [column.name for column in predictor.preparation.columns]
    return plain_names(names) if plain else {name: name for name in names}


def _keras_names(predictor: Predictor) -> dict[str, str]:
    """Keras takes any name without a slash."""
    own = input_names(predictor, plain=False)
    return input_names(predictor, plain=any("/" in name for name in own))


def _write_keras(predictor: Predictor, _: Training, path: Path) -> None:
    serving_model(predictor, _keras_names(predictor)).save(path)


def _predict_keras(predictor: Predictor, path: Path, rows: Features) -> np.ndarray:
    model = load_keras().models.load_model(path, safe_mode=True)
    return _values(model(_tensors(feed(predictor, rows, _keras_names(predictor)))))


def _write_saved_model(predictor: Predictor, _: Training, path: Path) -> None:
    """A folder with the version 1, as TensorFlow Serving expects it."""
    names = input_names(predictor, plain=True)
    model = serving_model(predictor, names)
    model.serve = _by_name(model)  # what is saved has to hold what it calls
    _tensorflow().saved_model.save(
        model, str(path / "1"), signatures={"serving_default": model.serve}
    )
    _write_signature(predictor, names, path / SIGNATURE_FILE, as_places=False)


def _predict_saved_model(predictor: Predictor, path: Path, rows: Features) -> np.ndarray:
    loaded = _tensorflow().saved_model.load(str(path / "1"))
    serve = loaded.signatures["serving_default"]
    return _values(serve(**_tensors(feed(predictor, rows, input_names(predictor, plain=True)))))


def _write_onnx(predictor: Predictor, _: Training, path: Path) -> None:
    import onnx

    from evonet.deploy.onnx_model import onnx_model

    names = input_names(predictor, plain=False)
    model = onnx_model(predictor, names)
    onnx.helper.set_model_props(
        model, {"signature": json.dumps(signature_of(predictor, names, False).to_dict())}
    )
    path.write_bytes(model.SerializeToString())


def _predict_onnx(predictor: Predictor, path: Path, rows: Features) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    said = session.run(outputs, feed(predictor, rows, input_names(predictor, plain=False)))
    return _values(dict(zip(outputs, said, strict=True)))


def _write_tflite(predictor: Predictor, _: Training, path: Path) -> None:
    """Frozen first: converted from a SavedModel, TensorFlow 2.21 leaves weights unset."""
    tf = _tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    names = input_names(predictor, plain=True)
    model = serving_model(predictor, names, as_places=True)
    frozen = convert_variables_to_constants_v2(_by_name(model))
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
    _write_signature(predictor, names, path.with_suffix(".json"), as_places=True)


def _predict_tflite(predictor: Predictor, path: Path, rows: Features) -> np.ndarray:
    fed = places(predictor, rows, input_names(predictor, plain=True))
    interpreter = _tensorflow().lite.Interpreter(str(path))
    inputs = interpreter.get_input_details()
    for given in inputs:
        interpreter.resize_tensor_input(given["index"], fed[given["name"]].shape)
    interpreter.allocate_tensors()
    for given in inputs:
        interpreter.set_tensor(given["index"], fed[given["name"]])
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    return np.asarray(interpreter.get_tensor(output["index"]), np.float64)


def _write_script(predictor: Predictor, training: Training, path: Path) -> None:
    path.write_text(training_script(predictor, training), "utf-8")


def _predict_script(predictor: Predictor, path: Path, rows: Features) -> np.ndarray:
    """The script's own preparation and network, with the winner's weights instead of training."""
    script = runpy.run_path(str(path), run_name="checked")  # written a moment ago
    model = script["build_model"]()
    model.set_weights(predictor.networks[0].weights)
    return predictor.target.predictions(np.asarray(model(script["prepare"](rows))))


#: To add a format: two functions and a row.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "keras": Format(".keras", _write_keras, _predict_keras),
        "savedmodel": Format("", _write_saved_model, _predict_saved_model),
        "onnx": Format(".onnx", _write_onnx, _predict_onnx, ("onnx", "onnxruntime")),
        "tflite": Format(".tflite", _write_tflite, _predict_tflite),
        "python": Format(".py", _write_script, _predict_script, ensembles=False),
    }
)


def _by_name(model: Any) -> Any:
    """A serving model as a concrete function of its inputs by name."""
    tf = _tensorflow()
    specs = {
        name: tf.TensorSpec([None, *given.shape[1:]], given.dtype, name=name)
        for name, given in model.input.items()
    }
    return tf.function(lambda **columns: model(columns)).get_concrete_function(**specs)


def _write_signature(
    predictor: Predictor, names: Mapping[str, str], path: Path, as_places: bool
) -> None:
    signature = signature_of(predictor, names, as_places).to_dict()
    columns = {"columns": dict(names)} if IMAGE not in names else {}
    path.write_text(json.dumps(signature | columns, indent=1, ensure_ascii=False), "utf-8")


def _values(outputs: Mapping[str, Any]) -> np.ndarray:
    """Probabilities where there are any, else quantities; float64."""
    found = outputs["probabilities" if "probabilities" in outputs else "prediction"]
    return np.asarray(found, np.float64)


def _tensors(fed: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: _tensorflow().convert_to_tensor(array) for name, array in fed.items()}


def _tensorflow() -> Any:
    load_keras()  # keeps TensorFlow's log off the terminal
    import tensorflow as tf

    return tf

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
from evonet.data.preparation import CategoricalColumn, ImagePreparation, TablePreparation
from evonet.deploy import calls
from evonet.deploy.script import training_script
from evonet.deploy.script_network import Training
from evonet.deploy.serving import feed, places, serving_model
from evonet.deploy.signature import IMAGE, apart, output_words, plain_names, signature_of, word_of
from evonet.errors import ExportError, shown
from evonet.training.backend import load_keras

#: The signature of a model whose folder has no other room for it.
SIGNATURE_FILE = "signature.json"

#: Of each column the name of its input.
Names = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """A way to export.

    Attributes:
        suffix: of the file's name; a folder has none.
        names: of the inputs of a predictor's model.
        write: (predictor, names of its inputs, how it was trained, where to write).
        predict: (predictor, names of its inputs, what was written, raw rows) to predictions as
            ``Target.predictions`` gives them, by the format's own runtime.
        call: how to use what was written, as ``calls`` has it.
        as_places: whether words stand as their places in lists, and classes not at all.
        needs: packages besides those that evonet always has.
        ensembles: whether several networks can be one model.
        tells_empty: whether an empty word is another one than a missing one.
        predicts: whether it has the winner's weights; else it trains a network like it.
    """

    suffix: str
    names: Callable[[Predictor], Names]
    write: Callable[[Predictor, Names, Training, Path], None]
    predict: Callable[[Predictor, Names, Path, Features], np.ndarray]
    call: str
    as_places: bool = False
    needs: tuple[str, ...] = ()
    ensembles: bool = True
    tells_empty: bool = False
    predicts: bool = True


def _own_names(predictor: Predictor) -> Names:
    if isinstance(predictor.preparation, ImagePreparation):
        return {IMAGE: IMAGE}
    return {column.name: column.name for column in predictor.preparation.columns}


def _plain_names(predictor: Predictor) -> Names:
    return plain_names(list(_own_names(predictor)))


def _keras_names(predictor: Predictor) -> Names:
    """Keras takes any name without a slash."""
    own = _own_names(predictor)
    return _plain_names(predictor) if any("/" in name for name in own) else own


def _onnx_names(predictor: Predictor) -> Names:
    """ONNX takes any name that is not an output's."""
    own, outputs = _own_names(predictor), output_words(predictor.target)
    return {name: apart(name, {*outputs, *own}) if name in outputs else name for name in own}


def _write_keras(predictor: Predictor, names: Names, _: Training, path: Path) -> None:
    serving_model(predictor, names).save(path)


def _predict_keras(predictor: Predictor, names: Names, path: Path, rows: Features) -> np.ndarray:
    model = load_keras().models.load_model(path, safe_mode=True)
    return _values(model(_tensors(feed(predictor, rows, names))))


def _write_saved_model(predictor: Predictor, names: Names, _: Training, path: Path) -> None:
    """A folder with the version 1, as TensorFlow Serving expects it."""
    tf = _tensorflow()
    model = serving_model(predictor, names)
    model.serve = _by_name(model)  # what is saved has to hold what it calls
    try:
        tf.saved_model.save(model, str(path / "1"), signatures={"serving_default": model.serve})
    except tf.errors.OpError as error:  # TensorFlow's own of files
        raise OSError(error.message) from None
    _write_signature(predictor, names, path / SIGNATURE_FILE, as_places=False)


def _predict_saved_model(
    predictor: Predictor, names: Names, path: Path, rows: Features
) -> np.ndarray:
    loaded = _tensorflow().saved_model.load(str(path / "1"))
    serve = loaded.signatures["serving_default"]
    return _values(serve(**_tensors(feed(predictor, rows, names))))


def _write_onnx(predictor: Predictor, names: Names, _: Training, path: Path) -> None:
    import onnx

    from evonet.deploy.onnx_model import onnx_model

    model = onnx_model(predictor, names)
    onnx.helper.set_model_props(
        model, {"signature": json.dumps(signature_of(predictor, names, False).to_dict())}
    )
    path.write_bytes(model.SerializeToString())


def _predict_onnx(predictor: Predictor, names: Names, path: Path, rows: Features) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    said = session.run(outputs, feed(predictor, rows, names))
    return _values(dict(zip(outputs, said, strict=True)))


def _write_tflite(predictor: Predictor, names: Names, _: Training, path: Path) -> None:
    """The model, and beside it its signature.

    Frozen first: converted from a SavedModel, TensorFlow 2.21 leaves weights unset.
    """
    tf = _tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = serving_model(predictor, names, as_places=True)
    frozen = convert_variables_to_constants_v2(_by_name(model))
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
    _write_signature(predictor, names, path.with_name(f"{path.name}.json"), as_places=True)


def _predict_tflite(predictor: Predictor, names: Names, path: Path, rows: Features) -> np.ndarray:
    fed = places(predictor, rows, names)
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


def _write_script(predictor: Predictor, _: Names, training: Training, path: Path) -> None:
    path.write_text(training_script(predictor, training), "utf-8")


def _predict_script(predictor: Predictor, _: Names, path: Path, rows: Features) -> np.ndarray:
    """The script's own preparation and network, with the winner's weights instead of training."""
    script = runpy.run_path(str(path), run_name="checked")  # written a moment ago
    classes = predictor.target.classes
    if classes and list(script["encode"](classes)) != list(range(len(classes))):
        raise ExportError(
            f"The script takes some of the classes {shown(classes)} for one; expected as many as "
            "there are words. Rename them, or pass another --format."
        )
    model = script["build_model"]()
    model.set_weights(predictor.networks[0].weights)
    return predictor.target.predictions(np.asarray(model(script["prepare"](rows))))


#: To add a format: two functions and a row, which says how its inputs are named.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "keras": Format(".keras", _keras_names, _write_keras, _predict_keras, calls.KERAS),
        "savedmodel": Format(
            "", _plain_names, _write_saved_model, _predict_saved_model, calls.SAVED_MODEL
        ),
        "onnx": Format(
            ".onnx",
            _onnx_names,
            _write_onnx,
            _predict_onnx,
            calls.ONNX,
            needs=("onnx", "onnxruntime"),
        ),
        "tflite": Format(
            ".tflite", _plain_names, _write_tflite, _predict_tflite, calls.TFLITE, as_places=True
        ),
        "python": Format(
            ".py",
            _own_names,
            _write_script,
            _predict_script,
            calls.SCRIPT,
            ensembles=False,
            tells_empty=True,
            predicts=False,
        ),
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


def _write_signature(predictor: Predictor, names: Names, path: Path, as_places: bool) -> None:
    signature = signature_of(predictor, names, as_places).to_dict()
    more: dict[str, Any] = {}
    if isinstance(predictor.preparation, TablePreparation):
        more["columns"] = dict(names)
        if as_places:
            more["words"] = {
                names[column.name]: [word_of(category) for category in column.categories]
                for column in predictor.preparation.columns
                if isinstance(column, CategoricalColumn)
            }
    path.write_text(json.dumps(signature | more, indent=1, ensure_ascii=False), "utf-8")


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

"""An ONNX graph from raw columns to predictions, written node by node.

Operators: https://onnx.ai/onnx/operators/. Batch normalisation is folded into the product before
it; all others are as in ``serving.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evonet.champion.predictor import Network, Predictor
from evonet.data.preparation import (
    LARGEST,
    CategoricalColumn,
    ImagePreparation,
    NumericColumn,
)
from evonet.deploy.signature import IMAGE, apart, output_classes, pixel_kind, word_of
from evonet.errors import ExportError
from evonet.training.keras_model import NORMALISATION_EPSILON

if TYPE_CHECKING:
    from onnx import ModelProto

#: Versions of the operators: LayerNormalization came with 17, Mish with 18.
_OPSET, _OPSET_ML, _IR_VERSION = 18, 3, 8
#: Keras' slope of leaky_relu below zero.
_LEAKY = 0.2


@dataclass
class _Graph:
    """A graph under construction: every method adds nodes and returns the name of a result.

    Attributes:
        taken: names that no result may have: those of the inputs.
        nodes: what it computes, in order.
        constants: its weights and other arrays.
    """

    taken: Collection[str]
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = apart(f"{operator}_{len(self.nodes)}", self.taken)
        node = helper.make_node(operator, inputs, [name], domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def constant(self, values: Any, kind: Any) -> str:
        from onnx import numpy_helper

        name = apart(f"constant_{len(self.constants)}", self.taken)
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def named(self, result: str, name: str) -> None:
        """Give a result the name under which it goes out."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [result], [name]))


def onnx_model(predictor: Predictor, names: Mapping[str, str]) -> ModelProto:
    """The ONNX model of a predictor.

    Args:
        predictor: what predicts.
        names: of each column the name of its input; none is that of an output.

    Returns:
        A model whose inputs are columns ``(n, 1)`` of double or string (or ``image``:
        ``(n, *shape)``), and whose outputs are ``prediction`` ``(n,)`` and for classes
        ``probabilities`` ``(n, n_classes)``.

    Raises:
        ExportError: a network has an activation that is not known here.
    """
    from onnx import checker, helper

    graph = _Graph(set(names.values()))
    inputs, x = _inputs(graph, predictor, names)
    said = [_predictions(graph, predictor, _network(graph, n, x)) for n in predictor.networks]
    shares = [graph.constant(share, _kind_of(predictor)) for share in predictor.shares]
    parts = [graph.add("Mul", one, share) for one, share in zip(said, shares, strict=True)]
    outputs = _outputs(graph, predictor, graph.add("Sum", *parts))
    made = helper.make_graph(graph.nodes, "evonet", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _OPSET_ML)]
    model = helper.make_model(made, opset_imports=opsets, producer_name="evonet")
    model.ir_version = _IR_VERSION
    checker.check_model(model, full_check=True)
    return model


def _kind_of(predictor: Predictor) -> Any:
    """Probabilities are float32; quantities float64, since float32 has too few digits for some."""
    return np.float64 if predictor.target.task == "regression" else np.float32


def _inputs(graph: _Graph, predictor: Predictor, names: Mapping[str, str]) -> tuple[list[Any], str]:
    from onnx import TensorProto, helper

    preparation = predictor.preparation
    if isinstance(preparation, ImagePreparation):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(pixel_kind(preparation)))
        image = helper.make_tensor_value_info(IMAGE, kind, ["n", *preparation.shape])
        flat = graph.add("Flatten", graph.add("Cast", IMAGE, to=TensorProto.FLOAT))
        return [image], graph.add("Div", flat, graph.constant(preparation.scale, np.float32))
    inputs, blocks = [], []
    for column in preparation.columns:
        name, numeric = names[column.name], isinstance(column, NumericColumn)
        kind = TensorProto.DOUBLE if numeric else TensorProto.STRING
        inputs.append(helper.make_tensor_value_info(name, kind, ["n", 1]))
        if isinstance(column, NumericColumn):
            blocks.append(_numeric(graph, column, name))
        else:
            blocks.append(_categorical(graph, column, name))
    return inputs, graph.add("Concat", *blocks, axis=1)


def _numeric(graph: _Graph, column: NumericColumn, given: str) -> str:
    from onnx import TensorProto

    def double(value: float) -> str:
        return graph.constant(value, np.float64)

    missing = graph.add("IsNaN", given)
    filled = graph.add("Where", missing, double(column.fill), given)
    scaled = graph.add("Div", graph.add("Sub", filled, double(column.mean)), double(column.scale))
    clipped = graph.add("Clip", scaled, double(-float(LARGEST)), double(float(LARGEST)))
    single = graph.add("Cast", clipped, to=TensorProto.FLOAT)
    if not column.marks_missing:
        return single
    return graph.add("Concat", single, graph.add("Cast", missing, to=TensorProto.FLOAT), axis=1)


def _categorical(graph: _Graph, column: CategoricalColumn, given: str) -> str:
    """One input per category, and one for all others where the column has it."""
    n = len(column.categories)
    place = graph.add(
        "LabelEncoder",
        given,
        domain="ai.onnx.ml",
        keys_strings=[word_of(category).encode() for category in column.categories],
        values_int64s=list(range(n)),
        default_int64=n,
    )
    flat = graph.add("Reshape", place, graph.constant([-1], np.int64))
    depth, values = graph.constant(n + 1, np.int64), graph.constant([0.0, 1.0], np.float32)
    all_set = graph.add("OneHot", flat, depth, values)
    if column.pools_rare:
        return all_set
    first, last = graph.constant([0], np.int64), graph.constant([n], np.int64)
    return graph.add("Slice", all_set, first, last, graph.constant([1], np.int64))


def _network(graph: _Graph, network: Network, x: str) -> str:
    """Outputs ``(n, n_outputs)`` of one network, float32."""
    weights = list(network.weights)
    for layer in network.genome.layers:
        received, (kernel, bias) = x, weights[:2]
        del weights[:2]
        if layer.normalisation == "batch":
            (gamma, beta, mean, variance), weights = weights[:4], weights[4:]
            slope = gamma / np.sqrt(variance + NORMALISATION_EPSILON)
            kernel, bias = kernel * slope, (bias - mean) * slope + beta
        x = _dense(graph, x, kernel, bias)
        if layer.normalisation == "layer":
            (gamma, beta), weights = weights[:2], weights[2:]
            learned = [graph.constant(array, np.float32) for array in (gamma, beta)]
            x = graph.add("LayerNormalization", x, *learned, epsilon=NORMALISATION_EPSILON)
        x = _activation(graph, layer.activation, x)
        if layer.skip == "concat":
            x = graph.add("Concat", x, received, axis=1)
    return _dense(graph, x, *weights)


def _dense(graph: _Graph, x: str, kernel: np.ndarray, bias: np.ndarray) -> str:
    return graph.add(
        "Gemm", x, graph.constant(kernel, np.float32), graph.constant(bias, np.float32)
    )


def _activation(graph: _Graph, name: str, x: str) -> str:
    single = {
        "relu": "Relu", "elu": "Elu", "selu": "Selu", "mish": "Mish",
        "tanh": "Tanh", "sigmoid": "Sigmoid",
    }  # fmt: skip
    if name == "leaky_relu":
        return graph.add("LeakyRelu", x, alpha=_LEAKY)
    if name == "silu":
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    if name == "gelu":  # x times the normal distribution up to x
        half, root = (graph.constant(value, np.float32) for value in (0.5, np.sqrt(0.5)))
        below = graph.add("Erf", graph.add("Mul", x, root))
        one = graph.constant(1, np.float32)
        return graph.add("Mul", graph.add("Mul", x, half), graph.add("Add", below, one))
    if name not in single:
        raise ExportError(
            f"format onnx knows no activation {name!r}; expected leaky_relu, silu, gelu or one of "
            f"{', '.join(single)}. Pass another --format."
        )
    return graph.add(single[name], x)


def _predictions(graph: _Graph, predictor: Predictor, outputs: str) -> str:
    from onnx import TensorProto

    target = predictor.target
    if target.task == "regression":
        wide = graph.add("Cast", outputs, to=TensorProto.DOUBLE)
        scale, mean = (graph.constant(v, np.float64) for v in (target.scale, target.mean))
        return graph.add("Add", graph.add("Mul", wide, scale), mean)
    if target.task == "binary":
        first = graph.add("Sigmoid", graph.add("Neg", outputs))
        return graph.add("Concat", first, graph.add("Sigmoid", outputs), axis=1)
    return graph.add("Softmax", outputs, axis=1)


def _outputs(graph: _Graph, predictor: Predictor, mean: str) -> Sequence[Any]:
    from onnx import TensorProto, helper

    target = predictor.target
    if target.task == "regression":
        flat = graph.add("Reshape", mean, graph.constant([-1], np.int64))
        graph.named(flat, "prediction")
        return [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["n"])]
    place = graph.add("ArgMax", mean, axis=1, keepdims=0)
    classes = output_classes(target)
    whole = isinstance(classes[0], int)
    labels: dict[str, Any] = {"values_int64s" if whole else "values_strings": classes}
    keys = list(range(len(target.classes)))
    label = graph.add("LabelEncoder", place, domain="ai.onnx.ml", keys_int64s=keys, **labels)
    graph.named(label, "prediction")
    graph.named(mean, "probabilities")
    kind = TensorProto.INT64 if whole else TensorProto.STRING
    shape = ["n", len(target.classes)]
    return [
        helper.make_tensor_value_info("prediction", kind, ["n"]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape),
    ]

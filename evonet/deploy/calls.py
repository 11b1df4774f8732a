"""How to call an exported model, in a few lines for those who have it before them.

``{path}`` is where the model is, as a literal of Python or, of a script, as a word of a shell;
``{data}`` what the script takes. A test runs the lines as they stand.
"""

from __future__ import annotations

_INPUTS = """# inputs: of each input by its name an array with a row for each example,
# (rows, 1) of a column. {numbers}"""
_WIDE = _INPUTS.format(numbers="Numbers are float64, words text.")
_NARROW = _INPUTS.format(
    numbers="Numbers are float32, places of words int32; words are in the .json beside the model."
)

KERAS = f"""{_WIDE}
import keras, tensorflow as tf
model = keras.models.load_model({{path}})
said = model({{{{name: tf.constant(x) for name, x in inputs.items()}}}})"""

SAVED_MODEL = f"""{_WIDE}
import tensorflow as tf
model = tf.saved_model.load({{path}} + "/1")
serve = model.signatures["serving_default"]
said = serve(**{{{{name: tf.constant(x) for name, x in inputs.items()}}}})"""

ONNX = f"""{_WIDE}
import onnxruntime
session = onnxruntime.InferenceSession({{path}}, providers=["CPUExecutionProvider"])
said = session.run(None, inputs)"""

TFLITE = f"""{_NARROW}
import tensorflow as tf
model = tf.lite.Interpreter({{path}})
for own in model.get_input_details():
    model.resize_tensor_input(own["index"], inputs[own["name"]].shape)

model.allocate_tensors()
for own in model.get_input_details():
    model.set_tensor(own["index"], inputs[own["name"]])

model.invoke()
(output,) = model.get_output_details()
said = model.get_tensor(output["index"])"""

SCRIPT = "python {path}{data}"

"""What is timed: a call of an exported file, of Keras, of a plain `model.export`."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from export.formats import names
from export.quiet import quiet

Call = Callable[[], Any]


def inputs_of(described: dict[str, Any], size: int) -> dict[str, np.ndarray]:
    """Returns latents (and labels) for an exported generator."""
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(size, described["latent_dim"])).astype("float32")
    inputs: dict[str, np.ndarray] = {"latents": latents}
    if described["num_classes"]:
        labels: np.ndarray = np.arange(size) % described["num_classes"]
        inputs["labels"] = labels.astype("int32")
    return inputs


def file_call(
    root: pathlib.Path,
    file: dict[str, Any],
    inputs: dict[str, np.ndarray],
    size: int,
    threads: int,
) -> Call | None:
    """Returns a call of an exported file.

    Args:
        root: the export's folder.
        file: its entry in the manifest.
        inputs: the latents (and labels).
        size: how many they are.
        threads: that the runtime may use.

    Returns:
        The call; None if the file has no signature for that size, or there is no
        onnxruntime.
    """
    path = str(root / file["file"])
    if file["format"] == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        tensors = {name: tf.constant(value) for name, value in inputs.items()}

        def serve() -> Any:
            # Through `loaded`, which owns the variables, to keep it alive.
            return loaded.signatures["serving_default"](**tensors)["images"].numpy()

        return serve
    if file["format"] == "onnx":
        try:
            import onnxruntime
        except ImportError:
            return None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, inputs)
    from ai_edge_litert.interpreter import Interpreter

    name = names.signature_name("litert", size)
    with quiet():  # LiteRT says that it has a delegate
        interpreter = Interpreter(path, num_threads=threads)
        if name not in interpreter.get_signature_list():
            return None
        runner = interpreter.get_signature_runner(name)
    return lambda: runner(**inputs)


def predict_call(
    generator: str, described: dict[str, Any], inputs: dict[str, np.ndarray]
) -> Call:
    """Returns a call of Keras' `predict`.

    Args:
        generator: the `.keras` file or run's folder.
        described: the export's manifest.
        inputs: the latents (and labels).
    """
    loaded = _loaded(generator, described)
    model, values = loaded.model, list(inputs.values())
    size = len(inputs["latents"])
    return lambda: model.predict(values, batch_size=size, verbose=0)


def plain_exports(
    generator: str, described: dict[str, Any], scratch: str
) -> dict[str, str]:
    """Returns the files that Keras' own `export` makes, by precision.

    Args:
        generator: the `.keras` file or run's folder.
        described: the export's manifest.
        scratch: folder to write them to.
    """
    import tensorflow as tf

    model = _loaded(generator, described).model
    paths = {}
    for precision, options in (
        ("float32", {}),
        ("int8-dynamic", {"optimizations": [tf.lite.Optimize.DEFAULT]}),
    ):
        path = os.path.join(scratch, f"plain-{precision}.tflite")
        with quiet():
            model.export(path, format="litert", verbose=False, **options)
        paths[precision] = path
    return paths


def _loaded(generator: str, described: dict[str, Any]) -> Any:
    from export.reading import loading

    return loading.load(generator, described["num_classes"], described["output_range"])


def resized_call(path: str, inputs: dict[str, np.ndarray], threads: int) -> Call:
    """Returns a call of a `.tflite` file with an open batch, set to the inputs' size.

    Args:
        path: the file.
        inputs: the latents (and labels).
        threads: that LiteRT may use.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    by_rank = {value.ndim: value for value in inputs.values()}
    details = interpreter.get_input_details()
    values = {one["index"]: by_rank[len(one["shape"])] for one in details}
    for index, value in values.items():
        interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()
    output = interpreter.get_output_details()[0]["index"]

    def call() -> Any:
        for index, value in values.items():
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return call

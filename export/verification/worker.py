"""Runs an exported model on given inputs, without Keras and without this package.

Started by path, as a process of its own: `python worker.py REQUEST INPUTS OUTPUTS`.
REQUEST is a JSON file with `format`, `path`, and `calls` (names of signatures), INPUTS
a NumPy archive with `<call>/<input>` arrays; OUTPUTS gets a `<call>/<output>` array for
each output of each call, and `modules`, the modules that were loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Outputs = dict[str, Any]
Run = Callable[[str, dict[str, Any]], Outputs]


def _saved_model(path: str) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def run(signature: str, inputs: dict[str, Any]) -> Outputs:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = loaded.signatures[signature](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def _litert(path: str) -> Run:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # what LiteRT was called, and came with, before
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # noqa: N806

    interpreter = Interpreter(path)

    def run(signature: str, inputs: dict[str, Any]) -> Outputs:
        return dict(interpreter.get_signature_runner(signature)(**inputs))

    return run


def _onnx(path: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(signature: str, inputs: dict[str, Any]) -> Outputs:
        del signature  # an ONNX model has one
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


RUNTIMES = {"saved_model": _saved_model, "litert": _litert, "onnx": _onnx}


def main(request_file: str, inputs_file: str, outputs_file: str) -> None:
    """Does what the module's docstring says."""
    import numpy as np

    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    run = RUNTIMES[request["format"]](request["path"])
    outputs: dict[str, Any] = {}
    with np.load(inputs_file) as archive:
        for number, signature in enumerate(request["calls"]):
            inputs = {
                name.split("/", 1)[1]: archive[name]
                for name in archive.files
                if name.startswith(f"{number}/")
            }
            for name, value in run(signature, inputs).items():
                outputs[f"{number}/{name}"] = value
    outputs["modules"] = np.array(sorted(sys.modules))
    np.savez(outputs_file, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])

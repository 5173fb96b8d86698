"""Running an exported file by its own runtime, in a process without Keras."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from export.errors import VerificationError

# The interpreter whose runtimes are asked.
PYTHON = sys.executable


def run_isolated(
    path: pathlib.Path,
    format: str,
    calls: Sequence[str],
    inputs: Sequence[dict[str, np.ndarray]],
) -> list[dict[str, np.ndarray]]:
    """Runs calls of an exported file in a new process; returns their outputs.

    Args:
        path: the file or folder.
        format: `saved_model`, `litert` or `onnx`.
        calls: the signature of each call.
        inputs: the named arrays of each call.

    Raises:
        VerificationError: if the process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, archive, result = (
            os.path.join(folder, name)
            for name in ("request.json", "inputs.npz", "outputs.npz")
        )
        with open(request, "w", encoding="utf-8") as file:
            described = {
                "format": format,
                "path": os.path.abspath(path),
                "calls": list(calls),
            }
            json.dump(described, file)
        arrays: dict[str, Any] = {
            f"{number}/{name}": value
            for number, call in enumerate(inputs)
            for name, value in call.items()
        }
        np.savez(archive, **arrays)
        # A file that is run by its path has no package around it.
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
        process = subprocess.run(
            [PYTHON, program, request, archive, result],
            capture_output=True,
            text=True,
            # Files are compared as they run on a CPU: a GPU may round to TF32.
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "CUDA_VISIBLE_DEVICES": "-1",
            },
        )
        if process.returncode != 0:
            lines = process.stderr.strip().splitlines() or ["no message"]
            raise VerificationError(
                f"{path.name} can't be run by its own runtime ({format}): {lines[-1]}"
            )
        outputs: list[dict[str, np.ndarray]] = [{} for _ in calls]
        with np.load(result) as loaded:
            for name in loaded.files:
                number, _, key = name.partition("/")
                if key:
                    outputs[int(number)][key] = loaded[name]
        return outputs

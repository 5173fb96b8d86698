"""LiteRT (`.tflite`) files: one signature for each batch size, built-in ops only."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from export import saved_model, signatures
from export.errors import ConversionError
from export.generators import Generator
from export.quiet import quiet

PRECISIONS = ("float32", "float16", "int8-dynamic", "int8-full")


def signature_name(batch_size: int) -> str:
    """Returns the name of the signature for a batch size."""
    return f"batch_{batch_size}"


def convert(
    generator: Generator,
    precision: str = "float32",
    batch_sizes: Sequence[int] = (1, 16),
    calibration_samples: int = 128,
    seed: int = 0,
) -> bytes:
    """Returns the generator as a `.tflite` file.

    Batch sizes are fixed because with an open one the accelerated kernels are not
    used. Inputs and outputs are float32 (labels int32) in every precision.

    Args:
        generator: the generator.
        precision: `float32`; `float16` (weights); `int8-dynamic` (int8 weights,
            activations quantized as they come); `int8-full` (int8 activations, their
            ranges calibrated).
        batch_sizes: one signature `batch_N` for each.
        calibration_samples: how many latents (and labels) `int8-full` is calibrated
            on. Defaults to 128.
        seed: the seed they are drawn with. Defaults to 0.

    Raises:
        ValueError: if an argument is out of its range.
        ConversionError: if the model has an op that LiteRT does not have built in.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {list(PRECISIONS)}. "
            f"Received: precision={precision!r}"
        )
    functions = {
        signature_name(size): signatures.generate(generator, size)
        for size in batch_sizes
    }
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "fixed"
        # By way of a SavedModel: from concrete functions the converter leaves the
        # weights as variables, in a model without them that runs slowly.
        saved_model.write_functions(generator, functions, path)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(path), signature_keys=list(functions)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8-full":
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _calibration(
                generator, batch_sizes, calibration_samples, seed
            )
        try:
            with quiet():
                return converter.convert()
        except Exception as error:  # the converter's own type is not public
            raise ConversionError(
                f"{generator.source} can't be written as a `.tflite` file with "
                f"built-in ops: {error}"
            ) from error


def _calibration(
    generator: Generator, batch_sizes: Sequence[int], samples: int, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    drawn = generator.draw(samples, seed)
    for size in batch_sizes:
        for start in range(0, max(samples - size, 0) + 1, size):
            batch = {name: value[start : start + size] for name, value in drawn.items()}
            yield signature_name(size), batch

"""LiteRT (`.tflite`) files: one signature for each batch size, built-in ops only."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from export.errors import ConversionError, layer_of
from export.formats import metadata, saved_model, signatures
from export.formats.names import signature_name
from export.inference import simplification
from export.quiet import quiet
from export.reading.loading import Generator


def convert(
    generator: Generator,
    precisions: Sequence[str] = ("float32",),
    batch_sizes: Sequence[int] = (1, 16),
    calibration_samples: int = 128,
    seed: int = 0,
) -> Iterator[tuple[str, bytes]]:
    """Yields each precision with the generator as a `.tflite` file.

    Batch sizes are fixed because with an open one the accelerated kernels are not
    used. Inputs and outputs are float32 (labels int32) in every precision.

    Args:
        generator: the generator.
        precisions: of `float32`; `float16` (weights); `int8-dynamic` (int8 weights,
            activations quantized as they come); `int8-full` (int8 activations, their
            ranges calibrated).
        batch_sizes: one signature `batch_N` for each.
        calibration_samples: how many latents (and labels) `int8-full` is calibrated
            on. Defaults to 128.
        seed: the seed they are drawn with. Defaults to 0.

    Raises:
        ConversionError: if the model has an op that LiteRT does not have built in.
    """
    model = simplification.simplify(generator.model, phases=True, portable=True)
    generator = dataclasses.replace(generator, model=model)
    functions = {
        signature_name("litert", size): signatures.generate(generator, size)
        for size in batch_sizes
    }
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "fixed"
        # By way of a SavedModel: from concrete functions the converter leaves the
        # weights as variables, in a model without them that runs slowly.
        saved_model.write_functions(model.variables, functions, path)
        for precision in precisions:
            converter = _converter(path, list(functions), precision)
            if precision == "int8-full":
                converter.representative_dataset = lambda: _calibration(
                    generator, batch_sizes, calibration_samples, seed
                )
            try:
                with quiet():
                    content = converter.convert()
            except Exception as error:  # the converter's own type is not public
                raise ConversionError(
                    f"{generator.source} can't be written as a `.tflite` file with "
                    f"built-in ops: {_reason(str(error), generator)}"
                ) from error
            yield precision, metadata.embed(content, metadata.describe(generator))


def _converter(path: pathlib.Path, keys: list[str], precision: str) -> Any:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path), signature_keys=keys)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    # A scale for each of the first layer's many units makes the file 5 % larger, and
    # the images no better.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if precision == "int8-full":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def _reason(message: str, generator: Generator) -> str:
    """Returns which op of which layer the converter's message is about."""
    ops = re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", message)
    way_out = "A SavedModel has every op: `--format saved_model`."
    if not ops:
        first = (message.strip().splitlines() or ["no reason given"])[0]
        found = (layer_of(word, generator.names) for word in message.split())
        layer = next((name for name in found if name), None)
        return f"{first}{f' (layer {layer!r})' if layer else ''}. {way_out}"
    reasons = []
    for op in dict.fromkeys(ops):
        paths = re.findall(rf'"([^"@]*/{op.removeprefix("tf.")}\w*)@', message)
        layers = dict.fromkeys(
            layer_of(path, generator.names) or path for path in paths
        )
        of = f" of layer {', '.join(map(repr, layers))}" if layers else ""
        reasons.append(f"LiteRT has no built-in op for {op}{of}")
    return f"{'; '.join(reasons)}. {way_out}"


def _calibration(
    generator: Generator, batch_sizes: Sequence[int], samples: int, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    # Not the latents that the file is compared on afterwards.
    drawn = generator.draw(samples, (seed, 1))
    for size in batch_sizes:
        for start in range(0, samples, size):
            # The last batch is filled up from the first.
            rows: np.ndarray = np.arange(start, start + size) % samples
            batch = {name: value[rows] for name, value in drawn.items()}
            yield signature_name("litert", size), batch

"""Whether an exported file does what the Keras model does.

Each file is run by the runtime that it is for, in a process that has no Keras model,
on the same latents (and labels) as Keras.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from export import litert
from export.errors import VerificationError
from export.generators import Generator

# The least PSNR in dB, over images in [−1, 1], at which a file counts as a faithful
# copy. float32 leaves room for another order of summation and no more; the others
# are below what a trained generator of the paper reaches (see docs/export.md), and
# well above what a wrong weight, layout or range gives (under 20 dB).
BOUNDS = {"float32": 90.0, "float16": 55.0, "int8-dynamic": 28.0, "int8-full": 24.0}

# Images that a file is compared on: less of large ones, to bound the time.
_MOST_IMAGES = 64
_PIXELS = 64 * 64 * 64
_CHUNK = 16


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far an exported file is from Keras on the same latents.

    Attributes:
        file: name of the file or folder.
        format: `saved_model`, `litert` or `onnx`.
        precision: of the weights.
        bytes: size on disk.
        images: number of images compared.
        largest: largest absolute difference; images are in [−1, 1].
        mean: mean absolute difference.
        psnr: peak signal-to-noise ratio in dB, infinite if all are equal.
        bound: the least PSNR that passes.
    """

    file: str
    format: str
    precision: str
    bytes: int
    images: int
    largest: float
    mean: float
    psnr: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the file is within the bound."""
        return self.psnr >= self.bound


def psnr(images: np.ndarray, reference: np.ndarray) -> float:
    """Returns `10 · log10(4 / mean squared difference)`: the range has width 2."""
    error = np.mean(np.square(images.astype("float64") - reference))
    return 10 * math.log10(4 / error) if error > 0 else math.inf


@dataclasses.dataclass(frozen=True)
class Reference:
    """What Keras makes of some latents.

    Attributes:
        generator: the Keras generator.
        inputs: latents (and labels).
        images: one for each.
    """

    generator: Generator
    inputs: dict[str, np.ndarray]
    images: np.ndarray


def reference(
    generator: Generator, batch_sizes: Sequence[int], seed: int = 0
) -> Reference:
    """Runs Keras on as many latents as `compare` takes for these batch sizes.

    Args:
        generator: the Keras generator.
        batch_sizes: that files are run with.
        seed: the seed of the latents. Defaults to 0.
    """
    height, width, _ = generator.image_shape
    count = max(min(_MOST_IMAGES, _PIXELS // (height * width)), *batch_sizes)
    inputs = generator.draw(count, seed)
    chunks = []
    for start in range(0, count, _CHUNK):
        batch = {k: v[start : start + _CHUNK] for k, v in inputs.items()}
        chunks.append(np.asarray(generator(**batch)))
    return Reference(generator, inputs, np.concatenate(chunks))


def compare(
    path: pathlib.Path,
    format: str,
    precision: str,
    reference: Reference,
    batch_sizes: Sequence[int],
    bound: float | None = None,
) -> Difference:
    """Runs a file in a process of its own and returns its difference from Keras.

    Args:
        path: the file or folder.
        format: `saved_model`, `litert` or `onnx`.
        precision: of the weights; picks the bound.
        reference: what it should equal.
        batch_sizes: those that the file is run with, on all images each.
        bound: the least PSNR. Defaults to that in `BOUNDS`.

    Raises:
        VerificationError: if the file can't be run, or returns other shapes, NaN, or
            (a SavedModel) samples that don't follow from the seed.
    """
    calls, inputs, expected = [], [], []
    for size in batch_sizes:
        for start in range(0, len(reference.images) - size + 1, size):
            part = slice(start, start + size)
            calls.append(_signature(format, size))
            inputs.append({k: v[part] for k, v in reference.inputs.items()})
            expected.append(reference.images[part])
    samples = _sample_calls(reference.generator) if format == "saved_model" else []
    outputs = run_isolated(
        path,
        format,
        calls + ["sample"] * len(samples),
        inputs + samples,
    )
    images = [output.get("images") for output in outputs]
    for index, batch in enumerate(expected):
        _check_images(path, images[index], batch.shape, "float32")
    _check_samples(path, samples, images[len(expected) :], reference.generator)
    actual = np.concatenate(images[: len(expected)])
    wanted = np.concatenate(expected)
    error = np.abs(actual.astype("float64") - wanted)
    return Difference(
        file=path.name,
        format=format,
        precision=precision,
        bytes=size_of(path),
        images=len(actual),
        largest=float(error.max()),
        mean=float(error.mean()),
        psnr=psnr(actual, wanted),
        bound=BOUNDS[precision] if bound is None else bound,
    )


def _signature(format: str, batch_size: int) -> str:
    if format == "litert":
        return litert.signature_name(batch_size)
    return "serving_default"


def _sample_calls(generator: Generator) -> list[dict[str, np.ndarray]]:
    calls = []
    for seed, truncation in ((7, 8.0), (7, 8.0), (8, 8.0), (7, 0.0)):
        call = {
            "count": np.array(3, "int32"),
            "seed": np.array(seed, "int64"),
            "truncation": np.array(truncation, "float32"),
        }
        if generator.conditional:
            call["labels"] = np.zeros(1, "int32")
        calls.append(call)
    return calls


def _check_samples(
    path: pathlib.Path,
    samples: list[dict[str, np.ndarray]],
    images: list[Any],
    generator: Generator,
) -> None:
    if not samples:
        return
    for image in images:
        _check_images(path, image, (3, *generator.image_shape), "uint8")
    first, again, other, typical = images
    if not np.array_equal(first, again) or np.array_equal(first, other):
        raise VerificationError(
            f"{path.name}: `sample` must return the same images for the same seed and "
            "others for another one."
        )
    if not np.array_equal(typical[0], typical[1]):
        raise VerificationError(
            f"{path.name}: `sample` with `truncation` 0 must return one image."
        )


def _check_images(
    path: pathlib.Path, images: Any, shape: tuple[int, ...], dtype: str
) -> None:
    if images is None or images.shape != shape or images.dtype != dtype:
        received = None if images is None else f"{images.dtype} {images.shape}"
        raise VerificationError(
            f"{path.name} must return `images` of shape {shape} and dtype {dtype}. "
            f"Received: {received}"
        )
    if not np.isfinite(images).all():
        raise VerificationError(f"{path.name} returns images with NaN or infinity.")


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
        # A folder with a `__main__.py` is run without its package around it.
        program = os.path.dirname(os.path.abspath(__file__))
        process = subprocess.run(
            [sys.executable, program, request, archive, result],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
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


def finite(value: Any) -> Any:
    """Returns a nested value with infinite numbers as None: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def size_of(path: pathlib.Path) -> int:
    """Returns the size in bytes of a file or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def table(differences: Sequence[Difference]) -> str:
    """Returns the differences as a table to print."""
    header = ("file", "precision", "MB", "largest", "mean", "PSNR dB", "bound")
    rows = [header]
    for one in differences:
        rows.append(
            (
                one.file,
                one.precision,
                f"{one.bytes / 1e6:.2f}",
                f"{one.largest:.1e}",
                f"{one.mean:.1e}",
                f"{one.psnr:.1f}",
                f"{one.bound:.0f}" + ("" if one.passed else " FAILED"),
            )
        )
    return format_table(rows)


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of text with the first column left and the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

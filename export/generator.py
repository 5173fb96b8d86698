"""One call from a Keras generator to a folder of checked files."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from export import folder as folders
from export import manifest
from export.errors import VerificationError
from export.formats import litert, metadata, onnx_file, saved_model
from export.formats.names import FORMATS, PRECISIONS, PRECISIONS_OF
from export.reading import loading
from export.verification import comparison, stored, summary
from export.verification.scores import Classifier
from sn_keras import values

# What a file with an open batch is run with: one image, an odd number, a usual one.
_OPEN_SIZES = (1, 3, 16)


def export_generator(
    generator: Any,
    output: str | os.PathLike[str],
    formats: Sequence[str] = ("saved_model", "litert"),
    precisions: Sequence[str] = ("float32",),
    batch_sizes: Sequence[int] | None = None,
    overwrite: bool = False,
    seed: int = 0,
    calibration_samples: int | None = None,
    num_classes: int | None = None,
    output_range: Sequence[float] | None = None,
    min_psnr: float | None = None,
    classifier: Any = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[comparison.Difference]:
    """Writes a generator in formats that need no Keras, and checks each file.

    Each file is run by its own runtime in a new process, on the same latents as
    Keras. All is written to a temporary folder that takes the place of `output` only
    if every file is within its bounds (`verification.comparison.BOUNDS`).

    Args:
        generator: a `.keras` file, a run's folder, or a Keras model.
        output: folder to write.
        formats: of `saved_model`, `litert`, `onnx`. Defaults to the first two.
        precisions: of `float32`, `float16`, `int8-dynamic`, `int8-full`, for LiteRT.
            SavedModels are float32, ONNX files float32 and, if it is among them,
            float16. Defaults to float32.
        batch_sizes: for LiteRT, whose files have a signature for each. Defaults to
            None, 1 and 16.
        overwrite: whether an earlier export in `output` may be replaced. Defaults to
            False.
        seed: the seed of the latents that files are checked with, and of the others
            that they are calibrated with. Defaults to 0.
        calibration_samples: how many latents `int8-full` is calibrated on. Defaults
            to None, 128.
        num_classes: for a conditional generator whose layers and configuration don't
            tell.
        output_range: the values of black and of white in the generator's images.
            Defaults to what the last activation tells (a tanh −1 and 1, a sigmoid 0
            and 1, with what a `Rescaling` makes of them), or else the outputs.
        min_psnr: the least PSNR in dB against Keras that every file must reach, in
            place of the bounds in `verification.comparison.BOUNDS`. Defaults to None.
        classifier: a `.keras` file or Keras model that takes images with values from 0
            to 255 and returns logits or probabilities (last, if there are several
            outputs), such as `python -m training classifier` makes of labelled data.
            Adds the change of its score from Keras to each file, with a bound of its
            own (`SCORE_BOUNDS`). Defaults to None.
        report: takes a line of text as work goes on. Defaults to nothing.

    Returns:
        The difference from Keras of each file.

    Raises:
        ValueError, TypeError: if an argument is not as described.
        FileExistsError: if `output` must not be written.
        ConversionError: if a format can't express the model.
        VerificationError: if a file does not do what Keras does; `output` is then as
            it was.

    Example:
    ```python
    from export import export_generator

    export_generator("runs/a/generator.keras", "exported", precisions=["float16"])
    ```
    """
    formats = _each("formats", formats, _of(FORMATS))
    precisions = _each("precisions", precisions, _of(PRECISIONS))
    fixed_sizes = _each(
        "batch_sizes",
        (1, 16) if batch_sizes is None else batch_sizes,
        lambda n, x: values.integer(n, x, 1, 4096),
    )
    for precision in precisions:
        if not any(precision in PRECISIONS_OF[one] for one in formats):
            wanted = f"those that a file of {', '.join(formats)} can have"
            raise ValueError(values.message("precisions", wanted, precisions))
    seed = values.integer("seed", seed, 0)
    samples = values.integer(
        "calibration_samples",
        128 if calibration_samples is None else calibration_samples,
    )
    if batch_sizes is not None and "litert" not in formats:
        wanted = "left out where no `.tflite` file is written"
        raise ValueError(values.message("batch_sizes", wanted, batch_sizes))
    if calibration_samples is not None and "int8-full" not in precisions:
        wanted = "left out where no int8-full file is written"
        raise ValueError(values.message("calibration_samples", wanted, samples))
    if min_psnr is not None:
        min_psnr = values.number("min_psnr", min_psnr)
    overwrite = values.boolean("overwrite", overwrite)
    if "onnx" in formats:
        onnx_file.check_available()
    target = folders.check_target(output, overwrite)
    loaded = loading.load(generator, num_classes, output_range)
    content = {
        **metadata.describe(loaded),
        "batch_sizes": fixed_sizes,
        "compute_dtype": loaded.compute_dtype,
    }
    # What can't be read again isn't written.
    manifest.check_values(content, loaded.source)
    low, high = loaded.output_range
    report(f"images are in [{low:g}, {high:g}], which {loaded.range_told_by} tells")
    images = loaded.predict(**loaded.draw(_OPEN_SIZES[-1], seed))
    margin = (high - low) / 256
    if cut := np.mean((images < low - margin) | (images > high + margin)):
        report(f"{cut:.0%} of its values lie outside, and become black or white")
    judge = None if classifier is None else Classifier(classifier, loaded)
    sizes = {*fixed_sizes, *_OPEN_SIZES}
    expected = comparison.reference(loaded, sorted(sizes), seed, judge)
    differences = []
    with folders.replaced(target, overwrite, report=report) as folder:
        for path, format, precision in _write(
            loaded, folder, formats, precisions, fixed_sizes, samples, seed
        ):
            report(f"written {path.name}; running it beside Keras")
            used = fixed_sizes if format == "litert" else _OPEN_SIZES
            differences.append(
                comparison.compare(path, format, precision, expected, used, min_psnr)
            )
        report(summary.describe(differences))
        failed = [one.file for one in differences if not one.passed]
        if failed:
            raise VerificationError(
                f"{', '.join(failed)}: further from Keras than the bound. {target} "
                "is as it was."
            )
        stored.save(expected, folder)
        content["files"] = [dataclasses.asdict(one) for one in differences]
        manifest.write(folder, content)
    return differences


def _write(
    generator: loading.Generator,
    folder: pathlib.Path,
    formats: Sequence[str],
    precisions: Sequence[str],
    batch_sizes: Sequence[int],
    calibration_samples: int,
    seed: int,
) -> Iterator[tuple[pathlib.Path, str, str]]:
    """Writes file after file; yields its path, format and precision."""
    if "saved_model" in formats:
        path = folder / "saved_model"
        saved_model.write(generator, path)
        yield path, "saved_model", "float32"
    if "onnx" in formats:
        for precision, path in onnx_file.write(generator, folder, precisions):
            yield path, "onnx", precision
    if "litert" in formats:
        for precision, content in litert.convert(
            generator, precisions, batch_sizes, calibration_samples, seed
        ):
            path = folder / f"generator-{precision}.tflite"
            path.write_bytes(content)
            yield path, "litert", precision


def _each(argument: str, given: Any, check: Callable[[str, Any], Any]) -> list[Any]:
    """Returns a list of one or more different values, each of them checked."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(values.message(argument, "a list", given))
    listed = [check(argument, one) for one in given]
    if not listed or len(set(listed)) != len(listed):
        wanted = "a list of one or more values, each once"
        raise ValueError(values.message(argument, wanted, given))
    return listed


def _of(known: Sequence[str]) -> Callable[[str, Any], str]:
    return lambda argument, value: values.name(argument, value, known)

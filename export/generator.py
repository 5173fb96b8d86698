"""One call from a Keras generator to a folder of checked files."""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from export import folder as folders
from export import manifests
from export.errors import VerificationError
from export.formats import litert, metadata, onnx_file, saved_model
from export.formats.names import FORMATS, PRECISIONS
from export.reading import generator as generators
from export.verification import comparison, summary
from export.verification.scores import Classifier

# What a file with an open batch is run with: one image, an odd number, a usual one.
_OPEN_SIZES = (1, 3, 16)


def export_generator(
    generator: Any,
    output: str | os.PathLike[str],
    formats: Sequence[str] = ("saved_model", "litert"),
    precisions: Sequence[str] = ("float32",),
    batch_sizes: Sequence[int] = (1, 16),
    overwrite: bool = False,
    seed: int = 0,
    calibration_samples: int = 128,
    num_classes: int | None = None,
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
        precisions: of `float32`, `float16`, `int8-dynamic`, `int8-full`, for LiteRT;
            the other formats are float32. Defaults to float32.
        batch_sizes: for LiteRT, whose files have a signature for each. Defaults to 1
            and 16.
        overwrite: whether an earlier export in `output` may be replaced. Defaults to
            False.
        seed: the seed of the latents that files are checked and calibrated with.
            Defaults to 0.
        calibration_samples: how many latents `int8-full` is calibrated on. Defaults
            to 128.
        num_classes: for a conditional generator whose layers and configuration don't
            tell.
        min_psnr: the least PSNR in dB against Keras that every file must reach, in
            place of the bounds in `verification.comparison.BOUNDS`. Defaults to None.
        classifier: a `.keras` file or Keras model that takes images with values from 0
            to 255 and returns logits (last, if there are several outputs), such as
            `python -m training classifier` makes of labelled data. Adds the change of
            its score from Keras to each file, with a bound of its own
            (`SCORE_BOUNDS`). Defaults to None.
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
    _check_choice("formats", formats, FORMATS)
    _check_choice("precisions", precisions, PRECISIONS)
    _check_sizes(batch_sizes)
    _check_numbers(seed, calibration_samples, min_psnr)
    if "onnx" in formats:
        onnx_file.check_available()
    target = folders.check_target(output, overwrite)
    batch_sizes = [int(size) for size in batch_sizes]  # NumPy's have no JSON
    loaded = generators.load(generator, num_classes)
    judge = None if classifier is None else Classifier(classifier, loaded)
    sizes = {*batch_sizes, *_OPEN_SIZES}
    expected = comparison.reference(loaded, sorted(sizes), seed, judge)
    differences = []
    with folders.replaced(target, overwrite) as folder:
        for path, format, precision in _write(
            loaded, folder, formats, precisions, batch_sizes, calibration_samples, seed
        ):
            report(f"written {path.name}; running it beside Keras")
            used = batch_sizes if format == "litert" else _OPEN_SIZES
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
        manifest = {
            **metadata.describe(loaded),
            "batch_sizes": list(batch_sizes),
            "files": [dataclasses.asdict(one) for one in differences],
        }
        manifests.write(folder, manifest)
    return differences


def _write(
    generator: generators.Generator,
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
        path = folder / "generator.onnx"
        onnx_file.write(generator, path)
        yield path, "onnx", "float32"
    if "litert" in formats:
        for precision, content in litert.convert(
            generator, precisions, batch_sizes, calibration_samples, seed
        ):
            path = folder / f"generator-{precision}.tflite"
            path.write_bytes(content)
            yield path, "litert", precision


def _check_choice(name: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    listed = [] if isinstance(chosen, str) else list(chosen or ())
    good = all(one in known for one in listed)
    if not listed or not good or len(set(listed)) != len(listed):
        raise ValueError(
            f"`{name}` must be a list of one or more of {list(known)}, each once. "
            f"Received: {name}={chosen!r}"
        )


def _check_numbers(seed: int, calibration_samples: int, min_psnr: float | None) -> None:
    if not _is_integer(seed) or seed < 0:
        raise ValueError(
            f"`seed` must be an integer of 0 or more. Received: seed={seed!r}"
        )
    if not _is_integer(calibration_samples) or calibration_samples < 1:
        raise ValueError(
            "`calibration_samples` must be an integer of 1 or more: int8-full takes "
            "latents to calibrate with. "
            f"Received: calibration_samples={calibration_samples!r}"
        )
    number = isinstance(min_psnr, (int, float)) and not math.isnan(min_psnr)
    if min_psnr is not None and not number:
        raise ValueError(
            "`min_psnr` must be a number of decibels, or None. "
            f"Received: min_psnr={min_psnr!r}"
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_sizes(batch_sizes: Sequence[int]) -> None:
    good = batch_sizes and all(
        _is_integer(size) and 1 <= size <= 4096 for size in batch_sizes
    )
    if not good or len(set(batch_sizes)) != len(batch_sizes):
        raise ValueError(
            "`batch_sizes` must be different integers between 1 and 4096, one or more. "
            f"Received: batch_sizes={batch_sizes!r}"
        )

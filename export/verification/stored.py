"""What Keras made of some latents, kept in an export, and files held against it again.

So that a copy of an export can be checked on another machine, with another version of
a runtime, and without the Keras model.
"""

from __future__ import annotations

import math
import os
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from export import manifest
from export.errors import VerificationError
from export.verification import comparison, summary

NAME = "reference.npz"
_MOST_BYTES = 1 << 30


def save(reference: comparison.Reference, folder: pathlib.Path) -> None:
    """Writes latents (and labels) and Keras' images into an export.

    Args:
        reference: of which the first images are kept, as many as a file is compared
            on if its batches are no larger.
        folder: the export.
    """
    count = comparison.most_compared(reference.images.shape[1:])
    arrays: dict[str, Any] = {**reference.inputs, "images": reference.images}
    np.savez(folder / NAME, **{name: value[:count] for name, value in arrays.items()})


def verify(
    folder: str | os.PathLike[str], report: Callable[[str], None] = lambda line: None
) -> list[comparison.Difference]:
    """Holds the files of an export against their digests and against Keras' images.

    Each file is run by its own runtime in a new process. The bounds are those that
    held when it was exported; a classifier's score is not measured again.

    Args:
        folder: what `export_generator` wrote.
        report: takes a line of text as work goes on. Defaults to nothing.

    Returns:
        The difference from Keras of each file.

    Raises:
        FileNotFoundError: if `folder` is no export.
        ValueError: if a file is not the one that was verified.
        VerificationError: if a file does not do what Keras did.

    Example:
    ```python
    from export import export_generator, verify

    export_generator("runs/a/generator.keras", "checked", formats=["litert"])
    verify("checked", report=print)
    ```
    """
    root = pathlib.Path(folder)
    described = manifest.read_generator(root)
    report("all files are the ones that were exported; running them again")
    stored = _read(root, described)
    differences = []
    for file in described["files"]:
        sizes = described["batch_sizes"] if file["format"] == "litert" else (1, 3, 16)
        differences.append(
            comparison.compare(
                root / file["file"],
                file["format"],
                file["precision"],
                _repeated(stored, max(sizes)),
                sizes,
                file["bound"],
            )
        )
    report(summary.describe(differences))
    failed = [one.file for one in differences if not one.passed]
    if failed:
        raise VerificationError(
            f"{', '.join(failed)}: further from Keras than the bound."
        )
    return differences


def _read(root: pathlib.Path, described: dict) -> comparison.Reference:
    path = root / NAME
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MOST_BYTES:
            raise ValueError(f"it unpacks to {size / 1e9:.1f} GB")
        with np.load(path) as arrays:
            inputs = {name: arrays[name] for name in arrays.files}
        images = inputs.pop("images")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    count = len(images)
    shapes: dict[str, tuple[int, ...]] = {"latents": (count, described["latent_dim"])}
    if described["num_classes"]:
        shapes["labels"] = (count,)
    found = {name: value.shape for name, value in inputs.items()}
    if found != shapes or images.shape != (count, *described["image_shape"]):
        raise ValueError(
            f"{path} must hold {shapes} and images of {described['image_shape']}. "
            f"Received: {found}, images of shape {images.shape}"
        )
    low, high = described["output_range"]
    return comparison.Reference(inputs, images, (low, high), count)


def _repeated(stored: comparison.Reference, count: int) -> comparison.Reference:
    """Returns a reference of `count` images or more: the same again and again."""
    times = math.ceil(count / stored.compared)
    return comparison.Reference(
        {
            name: np.concatenate([value] * times)
            for name, value in stored.inputs.items()
        },
        np.concatenate([stored.images] * times),
        stored.output_range,
        stored.compared * times,
    )

"""IDX files, the format of MNIST: `train-images-idx3-ubyte`, gzip'ed or not."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from training.data.arrays import to_source
from training.data.geometry import Geometry
from training.data.listing import SUFFIXES
from training.data.sources import MOST_CLASSES, DataSource, NoSuchSplitError

# The third byte of a file.
_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_PREFIXES = {"train": "train", "test": "t10k"}
_FASHION_MNIST = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_idx(folder: Path, split: str | None, geometry: Geometry) -> DataSource:
    """Returns the images of a folder of IDX files, with the labels if they are there.

    Args:
        folder: has `train-images*` and `train-labels*` or `t10k-images*` and
            `t10k-labels*`.
        split: "train" (the default) or "test".
        geometry: what to turn the images into.

    Raises:
        NoSuchSplitError: if there are files of the other split alone.
        ValueError: if the files are missing, broken, or don't belong together.
    """
    split = split or "train"
    if split not in _PREFIXES:
        raise NoSuchSplitError(
            f"`split` of IDX files must be one of {list(_PREFIXES)}. "
            f"Received: split={split!r}"
        )
    path = _find(folder, _PREFIXES[split], "images")
    if path is None:
        kind = NoSuchSplitError if has_idx(folder) else ValueError
        raise kind(
            f"A folder of IDX files must have {_PREFIXES[split]}-images-idx3-ubyte, "
            f"perhaps with .gz, for the split {split!r}. Received: {folder}"
        )
    images = read_idx(path)
    shape = images.shape
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            "An IDX file of images must have the shape (n, height, width) or "
            f"(n, height, width, 1 or 3) with n ≥ 1. Received: {path} of shape "
            f"{shape}"
        )
    labels_path = _find(folder, _PREFIXES[split], "labels")
    labels = None if labels_path is None else read_idx(labels_path)
    if labels is not None and (
        labels.shape != (len(images),) or labels.dtype.kind not in "iu"
    ):
        raise ValueError(
            "An IDX file of labels must have an integer for each of the "
            f"{len(images)} images. Received: {labels_path} of shape {labels.shape} "
            f"and type {labels.dtype.name}"
        )
    if labels is not None and not 0 <= labels.min() <= labels.max() < MOST_CLASSES:
        raise ValueError(
            f"An IDX file of labels must have labels from 0 to {MOST_CLASSES - 1:,}. "
            f"Received: {labels_path} with {labels.min()} to {labels.max()}"
        )
    names = _FASHION_MNIST if folder.name == "fashion-mnist" else None
    return to_source(images, labels, names, str(path), split, geometry)


def has_idx(folder: Path) -> bool:
    """Returns whether a folder holds IDX files of images."""
    return any(_find(folder, prefix, "images") for prefix in _PREFIXES.values())


def debian_fashion_mnist() -> Path | None:
    """Returns where Debian's package `dataset-fashion-mnist` lies, or None."""
    folders = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in folders.split(os.pathsep):
        path = Path(folder) / "datasets" / "fashion-mnist"
        if path.is_dir() and has_idx(path):
            return path
    return None


def read_idx(path: Path) -> np.ndarray:
    """Returns the array of an IDX file.

    Two zero bytes, the code of the type, the number of dimensions, each dimension as
    four bytes, then the values, everything with the highest byte first.

    Args:
        path: the file; it may be compressed by gzip under any name.

    Raises:
        ValueError: if it is no whole IDX file.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} must be a whole gzip file: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise ValueError(
            "An IDX file must begin with two zeros, a known type and the number of "
            f"dimensions. Received: {path} with {content[:4].hex(' ') or 'no bytes'}"
        )
    dtype = np.dtype(_DTYPES[content[2]])
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise ValueError(f"{path} must be a whole IDX file: its header is cut short.")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    expected = header + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"An IDX file of shape {shape} and type {dtype.name} must have {expected} "
            f"bytes. Received: {path} with {len(content)}"
        )
    return np.frombuffer(content, dtype, offset=header).reshape(shape)


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    for path in sorted(folder.glob(f"{prefix}-{kind}*")):
        # A folder's own pictures, or an archive of them, may be called so.
        name = path.name.lower()
        if path.is_file() and not name.endswith(SUFFIXES):
            if "ubyte" in name or _begins_as_idx(path):
                return path
    return None


def _begins_as_idx(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as unpacked:
                start = unpacked.read(4)
        except (OSError, EOFError, zlib.error):
            return False
    return start[:2] == b"\0\0" and len(start) == 4 and start[2] in _DTYPES

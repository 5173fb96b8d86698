"""`load`: from a name or a path to a source of images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.data.geometry import Geometry
from training.data.idx import debian_fashion_mnist, has_idx, load_idx
from training.data.image_folder import load_folder
from training.data.mnist5k import load_mnist5k
from training.data.names import SHORT_NAMES, is_tfds, known_names, without_split
from training.data.sources import DataSource, NoSuchDataError
from training.data.tfds import load_tfds

# Sets whose digits and clothes lie on black: a border of black makes them larger.
_BLACK_BACKGROUND = ("mnist5k", "mnist", "fashion_mnist", "fashion-mnist-debian")


def load(
    name: str | Path,
    *,
    split: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    data_dir: str | Path | None = None,
    streaming: bool | None = None,
    held_out: float = 0.0,
    background: str = "white",
    skip_broken: bool = False,
) -> DataSource:
    """Returns the images that a name or a path stands for.

    Args:
        name: one of `known_names()`, or the path of a folder: of IDX files, or of
            images. A path may be given with `idx:` or `folder:` before it.
        split: which part of the data set; by default the one to train on. "train"
            and "test" are known to all that have them.
        image_size: height and width that images get, or one number for both. MNIST
            and its relatives get a black border; others are cropped around the centre
            to these proportions and resized. By default as they are, save STL-10 (48,
            as in the paper) and ImageNet (128).
        channels: 1 for grey, 3 for RGB; by default as they are.
        data_dir: where TensorFlow Datasets keeps its records; by default its own
            place (`TFDS_DATA_DIR`).
        streaming: whether to read records or files as training goes on rather than
            hold them in memory; by default for TensorFlow Datasets of more than 2 GiB
            of pixels, and for folders whose pixels would take over a quarter of the
            computer's memory.
        held_out: the share of a folder of images that is "test" and not "train", by a
            hash of each file's name.
        background: what transparent images of a folder are laid on, as `white` or
            `#ff8000`.
        skip_broken: whether to go on without files of a folder that can't be decoded.

    Returns:
        The source, for `make_dataset`.

    Raises:
        NoSuchDataError: if the name is unknown, or nothing lies there.
        NoSuchSplitError: if the data have no such split.
        ValueError: if what lies there is broken.

    Example:

    ```python
    digits = load("mnist5k", image_size=32)
    photographs = load("photographs/", image_size=64, channels=3)
    ```
    """
    text = str(name)
    if isinstance(name, os.PathLike) and _known(text):
        text = os.path.join(os.curdir, text)  # a path is no name
    geometry = Geometry.of(image_size, channels, pad=_on_black(text))
    folder = _image_folder(text)
    if folder is not None:
        return load_folder(
            folder, split, geometry, held_out, background, skip_broken, streaming
        )
    for option, given, usual, what in (
        ("split", held_out, 0.0, ", a share that is held out,"),
        ("background", background, "white", ""),
        ("skip_broken", skip_broken, False, ""),
    ):
        if given != usual:
            raise ValueError(
                f"`{option}`{what} needs a folder of images. "
                f"Received: {option}={given!r} for {text!r}"
            )
    if text == "mnist5k":
        return load_mnist5k(split, geometry)
    if text in ("fashion_mnist", "fashion-mnist-debian"):
        debian = debian_fashion_mnist()
        if debian is not None:
            return _named(load_idx(debian, split, geometry), text)
        if text == "fashion-mnist-debian":
            raise ValueError(
                "`name` 'fashion-mnist-debian' needs Debian's package "
                "dataset-fashion-mnist (apt-get install dataset-fashion-mnist), or "
                "the same files in a folder, by idx:FOLDER."
            )
    if text in SHORT_NAMES or is_tfds(text):
        return load_tfds(text, split, geometry, data_dir, streaming)
    return load_idx(_existing(text.removeprefix("idx:")), split, geometry)


def _on_black(text: str) -> bool:
    """Returns whether what is shown lies on black, so that a border enlarges it."""
    return text in _BLACK_BACKGROUND or (
        not _known(text) and _image_folder(text) is None
    )


def _image_folder(text: str) -> Path | None:
    """Returns the folder of image files that a name stands for, or None.

    Raises:
        NoSuchDataError: if the name is unknown, or nothing lies there.
    """
    if _known(text):
        return None
    kind, _, rest = text.partition(":")
    if kind in ("idx", "folder") and rest:
        return _existing(rest) if kind == "folder" else None
    path = Path(text).expanduser()
    if not text or not path.is_dir():
        raise NoSuchDataError(
            "`name` must be the path of a folder or one of "
            f"{', '.join(known_names())}. Received: name={text!r}"
        )
    return None if has_idx(path) else path


def _known(text: str) -> bool:
    names = ("mnist5k", "fashion-mnist-debian", *SHORT_NAMES)
    return text in names or is_tfds(text)


def load_configured(
    config: Mapping[str, Any], split: str | None = None, **options: Any
) -> DataSource:
    """Returns the images that a run was configured with.

    Args:
        config: a preset as JSON; of a run of an earlier version, it may lack what was
            added since.
        split: which part; by default the one that is trained on. Of data named with
            a split, as in `tfds:mnist:train[:80%]`, `"train"` is that one too.
        **options: of `load`, in place of the preset's, `name` for moved data too.
    """
    known = {
        "name": "data",
        "image_size": "image_size",
        "held_out": "split",
        "background": "background",
        "skip_broken": "skip_broken",
    }
    given = {name: config[key] for name, key in known.items() if key in config}
    arguments = {**given, **options}
    whole = without_split(str(arguments["name"]))
    if whole != arguments["name"] and split == "train":
        split = None
    elif split is not None:
        arguments["name"] = whole
    return load(split=split, **arguments)


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise NoSuchDataError(
            f"`name` must name a folder that exists. Received: {text!r}"
        )
    return path


def _named(source: Any, name: str) -> DataSource:
    source.name = name
    return source

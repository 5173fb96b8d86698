"""Cached features of real images: written whole or not at all, checked on reading."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.evaluation.extractors.extraction import Extracted
from training.storage.files import (
    check_writable,
    full_disk_explained,
    remove_temporaries,
    replacing,
)

# A file that was begun so long ago is of a process that was killed as it wrote it.
_UNFINISHED_SECONDS = 3600.0
_FIELDS = ("features", "logits", "labels")


def prepare_cache(folder: Path | str) -> None:
    """Makes a cache's folder ready to be written to, before the work for it is done.

    Raises:
        ValueError: if it can't be written.
    """
    check_writable(folder, "cache")
    remove_temporaries(Path(folder), _UNFINISHED_SECONDS)


def cached_features(
    folder: Path | str,
    key: Mapping[str, str | int],
    compute: Callable[[], Extracted],
) -> Extracted:
    """Returns what `compute` gives, from a file if it has been computed before.

    Args:
        folder: folder of the cache; made if it isn't there.
        key: all that the features depend on: the data and its split, how many images,
            the extractor's identity and preprocessing. The file is named by its hash
            and holds it in clear.
        compute: computes the features.

    Raises:
        ValueError: if the features aren't there and the folder can't be written;
            nothing is computed then.

    Warns:
        UserWarning: if the file is damaged, such as cut short: it is made again.
    """
    text = json.dumps(dict(key), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    path = Path(folder) / f"features-{name}.npz"
    if path.exists():
        try:
            return _read(path, text)
        except Exception as error:
            warnings.warn(
                f"The cached features in {path} can't be used ({error}) and are made "
                "again.",
                UserWarning,
                stacklevel=2,
            )
    prepare_cache(folder)
    extracted = compute()
    _write(path, text, extracted)
    return extracted


def _write(path: Path, key: str, extracted: Extracted) -> None:
    arrays = {
        field: getattr(extracted, field)
        for field in _FIELDS
        if getattr(extracted, field) is not None
    }
    with full_disk_explained(path.parent), replacing(path) as temporary:
        np.savez(temporary, key=key, checksum=_checksum(key, arrays), **arrays)


def _read(path: Path, key: str) -> Extracted:
    # Opened here: numpy leaves the file open if it finds it cut short.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        content = dict(archive)
    arrays = {field: content[field] for field in _FIELDS if field in content}
    if str(content["key"]) != key:
        raise ValueError("it was made from something else")
    if str(content["checksum"]) != _checksum(key, arrays):
        raise ValueError("its checksum is wrong")
    return Extracted(**arrays)


def _checksum(key: str, arrays: Mapping[str, NDArray]) -> str:
    digest = hashlib.sha256(key.encode())
    for field in sorted(arrays):
        array = np.ascontiguousarray(arrays[field])
        digest.update(f"{field} {array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()

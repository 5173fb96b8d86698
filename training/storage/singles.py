"""A folder of images that were written singly; it needs no library."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What each image says of itself, as a text in the PNG. A name such as `000000.png`
# may be anybody's.
MARK = ("Software", "sn_keras, singly")
_CHUNK = b"tEXt" + "\0".join(MARK).encode()
_BEGINNING = 256  # bytes of a file, in which it stands


def earlier_singles(folder: Path | str) -> set[str]:
    """Returns the names in a folder, all of them of images that were written singly.

    Raises:
        ValueError: if it is no folder, or holds anything else.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return set()
    names = None
    if folder.is_dir():
        found = (path.name for path in folder.iterdir())
        names = {name for name in found if not name.startswith(".")}  # as `.DS_Store`
    if names is None or not all(_is_single(folder / name) for name in names):
        raise ValueError(
            "`output` must be a new folder, or one that `--singles` has written, with "
            f"nothing else in it. Received: {folder}"
        )
    return names


def _is_single(path: Path) -> bool:
    if not re.fullmatch(r"\d{6,}\.png", path.name) or not path.is_file():
        return False
    with path.open("rb") as file:
        return _CHUNK in file.read(_BEGINNING)

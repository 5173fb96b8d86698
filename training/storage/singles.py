"""A folder of images that were written singly; it needs no library."""

from __future__ import annotations

import os
import re
from pathlib import Path


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
    if names is None or not all(re.fullmatch(r"\d{6}\.png", name) for name in names):
        raise ValueError(
            "`output` must be a new folder, or one that `--singles` has written, with "
            f"nothing else in it. Received: {folder}"
        )
    return names

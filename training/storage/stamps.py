"""The step that a generator's file is of, as the comment of its archive."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path


def write_step(path: Path, step: int) -> None:
    """Notes in a `.keras` file the step that its weights are of."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"step %d" % step


def read_step(path: Path) -> int | None:
    """Returns the step that a file says it is of; None if it says nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = re.fullmatch(rb"step (\d+)", archive.comment)
    except (OSError, zipfile.BadZipFile):
        return None  # whoever loads it says what is wrong
    return None if found is None else int(found[1])

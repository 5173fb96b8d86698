"""`export.json`: what an export says about itself."""

from __future__ import annotations

import json
import math
import pathlib
import re
from typing import Any

NAME = "export.json"

# What is read by others than people.
_KEYS = (
    "batch_sizes",
    "class_names",
    "files",
    "image_shape",
    "latent_dim",
    "num_classes",
)
_FILE = re.compile(r"[\w-]+(\.\w+)?")


def write(folder: pathlib.Path, content: dict[str, Any], name: str = NAME) -> None:
    """Writes a manifest into a folder.

    Args:
        folder: what is exported.
        content: anything that JSON can express; infinities and NaN become null.
        name: of the file. Defaults to `export.json`.
    """
    text = json.dumps(finite(content), indent=2)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def read(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the manifest of an exported generator.

    Args:
        folder: what `export_generator` wrote.

    Raises:
        FileNotFoundError: if `folder` is no export of a generator.
        ValueError: if the manifest is no JSON, or names a file outside of the folder.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no export: it has no {NAME}. Make one with "
            "`python -m export GENERATOR --output DIR`."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(manifest, dict) or not set(_KEYS) <= set(manifest):
        raise FileNotFoundError(f"{folder} is no export of a generator.")
    for file in manifest["files"]:
        # Nothing outside the folder is run, or copied into a page.
        if not _FILE.fullmatch(file["file"]):
            raise ValueError(
                f"{path} must name files of its folder. Received: {file['file']!r}"
            )
    return manifest


def finite(value: Any) -> Any:
    """Returns a nested value with infinite numbers as None: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

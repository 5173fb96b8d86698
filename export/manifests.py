"""`export.json`: what an export says about itself."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

NAME = "export.json"


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
        ValueError: if the manifest is no JSON.
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
    if not isinstance(manifest, dict) or "batch_sizes" not in manifest:
        raise FileNotFoundError(f"{folder} is no export of a generator.")
    return manifest


def finite(value: Any) -> Any:
    """Returns a nested value with infinite numbers as None: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

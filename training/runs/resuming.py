"""What a run's folder says that it is, so that its name alone carries it on."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.folder import RunFolder

_Kind = TypeVar("_Kind", Preset, RunOptions)


def started_with(folder: RunFolder) -> tuple[Preset, RunOptions] | None:
    """Returns the preset and options of the run in a folder, None if there is none.

    Raises:
        ValueError: if its config.json is damaged, or says what this version doesn't
            know.
    """
    if not folder.is_run():
        return None
    config = folder.config()
    # Runs of 0.1.0 say nothing of options: the defaults are theirs.
    options = config.get("options", {})
    return _made(folder, Preset, config.get("preset")), _made(
        folder, RunOptions, options
    )


def _made(folder: RunFolder, kind: type[_Kind], values: Any) -> _Kind:
    what = kind.__name__
    if not isinstance(values, dict):
        raise ValueError(
            f"{folder.config_file} is damaged: it must hold the fields of a {what}. "
            f"Received: {values!r}"
        )
    unknown = values.keys() - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(
            f"{folder.config_file} is of another version: a {what} has no "
            f"{sorted(unknown)} here."
        )
    try:
        return kind(**values)
    except TypeError as error:  # a preset without a name
        raise ValueError(f"{folder.config_file} is damaged: {error}") from None

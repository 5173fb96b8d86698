"""Where in a run a process is, by its Python stack."""

from __future__ import annotations

import re

# File, functions, and what they do; the innermost frame that is listed decides.
_PLACES = (
    ("training/storage/checkpoints.py", {"save", "save_best", "_write"}, "checkpoint"),
    ("training/storage/checkpoints.py", {"latest", "restore", "_read"}, "restoring"),
    ("training/storage/tensorboard.py", {"truncate"}, "restoring"),
    ("training/storage/folder.py", {"truncate_metrics"}, "restoring"),
    (
        "training/storage/tensorboard.py",
        {"scalars", "image", "flush", "close"},
        "TensorBoard",
    ),
    ("training/storage/folder.py", {"append_metrics"}, "metrics"),
    ("training/storage/folder.py", {"create", "open", "check"}, "run's folder"),
    ("training/runs/callbacks/saving.py", {"_write"}, "generator file"),
    ("training/storage/pictures.py", {"write_png", "grid", "to_uint8"}, "samples"),
    ("training/gan/model.py", {"generate"}, "samples"),
    ("training/data/", None, "data"),
    ("training/gan/inputs.py", None, "data"),
    ("training/runs/callbacks/finiteness.py", None, "losses and σ"),
    ("tensorflow/python/data/", None, "data"),
    ("tensorflow/trainer.py", {"function"}, "step"),
    ("training/runs/build.py", None, "building the networks"),
)
PLACES = tuple(dict.fromkeys(place for _, _, place in _PLACES))
START = "start"

_FRAME = re.compile(r'^  File "(.*)", line \d+ in (.*)$', re.MULTILINE)


def place(stack: str) -> str:
    """Returns what the process of a stack is at.

    Args:
        stack: as `faulthandler` prints it, the innermost frame first.

    Returns:
        One of `PLACES`, or `START`, which is imports and all else.
    """
    for file, function in _FRAME.findall(stack):
        for part, functions, name in _PLACES:
            if part in file and (functions is None or function in functions):
                return name
    return START

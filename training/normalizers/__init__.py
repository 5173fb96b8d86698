"""The methods that the paper compares, by name.

To add one, write a file beside this one that defines a `Normalizer` (or several), and
name it in `_FILES`.
"""

from __future__ import annotations

import importlib

from training.normalizers.base import Normalizer

_FILES = (
    "none",
    "spectral",
    "reparameterization",
    "regularization",
    "clipping",
    "batch_statistics",
)


def _defined_in(file: str) -> list[Normalizer]:
    module = importlib.import_module(f"{__name__}.{file}")
    return [value for value in vars(module).values() if isinstance(value, Normalizer)]


NORMALIZERS: dict[str, Normalizer] = {
    one.name: one for file in _FILES for one in _defined_in(file)
}


def get(name: str) -> Normalizer:
    """Returns the normalizer of that name.

    Args:
        name: a key of `NORMALIZERS`.

    Raises:
        ValueError: if there is none; the message lists the known names.
    """
    if name not in NORMALIZERS:
        raise ValueError(
            f"`normalizer` must be one of {sorted(NORMALIZERS)}. "
            f"Received: normalizer={name!r}"
        )
    return NORMALIZERS[name]


__all__ = ["NORMALIZERS", "Normalizer", "get"]

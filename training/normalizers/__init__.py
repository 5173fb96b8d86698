"""The methods that the paper compares, by name.

To add one, write a file beside this one that defines a `Normalizer`, and name it in
`_ALL`.
"""

from __future__ import annotations

from training.normalizers import (
    batch_statistics,
    clipping,
    none,
    regularization,
    reparameterization,
    spectral,
)
from training.normalizers.base import Normalizer

_ALL = (
    none.NONE,
    spectral.SPECTRAL,
    reparameterization.WEIGHT_NORM,
    reparameterization.FROBENIUS,
    regularization.ORTHONORMAL,
    regularization.SPECTRAL_REGULARIZATION,
    clipping.WEIGHT_CLIPPING,
    batch_statistics.BATCH_NORM,
    batch_statistics.LAYER_NORM,
    reparameterization.SPECTRAL_GAMMA,
    reparameterization.WEIGHT_NORM_GAMMA,
    reparameterization.FROBENIUS_GAMMA,
)

NORMALIZERS: dict[str, Normalizer] = {one.name: one for one in _ALL}


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

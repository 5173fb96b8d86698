"""The methods that the paper compares, by name.

To add one, write a file beside this one that defines a `Normalizer`, and name it here.
"""

from __future__ import annotations

from training import values
from training.normalizers.base import Normalizer
from training.normalizers.batch_statistics import BATCH_NORM, LAYER_NORM
from training.normalizers.clipping import WEIGHT_CLIPPING
from training.normalizers.none import NONE
from training.normalizers.regularization import ORTHONORMAL, SPECTRAL_REGULARIZATION
from training.normalizers.reparameterization import (
    FROBENIUS,
    FROBENIUS_GAMMA,
    SPECTRAL_GAMMA,
    WEIGHT_NORM,
    WEIGHT_NORM_GAMMA,
)
from training.normalizers.spectral import SPECTRAL

NORMALIZERS: dict[str, Normalizer] = {
    one.name: one
    for one in (
        NONE,
        SPECTRAL,
        WEIGHT_NORM,
        FROBENIUS,
        SPECTRAL_GAMMA,
        WEIGHT_NORM_GAMMA,
        FROBENIUS_GAMMA,
        ORTHONORMAL,
        SPECTRAL_REGULARIZATION,
        WEIGHT_CLIPPING,
        BATCH_NORM,
        LAYER_NORM,
    )
}


def get(name: str) -> Normalizer:
    """Returns the normalizer of that name.

    Args:
        name: a key of `NORMALIZERS`.

    Raises:
        TypeError: if it is no string.
        ValueError: if there is none; the message lists the known names.
    """
    return NORMALIZERS[values.name("normalizer", name, NORMALIZERS)]


__all__ = ["NORMALIZERS", "Normalizer", "get"]

"""Spectral normalization of every layer of D (Miyato et al. 2018, algorithm 1)."""

from training.deferred import sn_keras
from training.normalizers.base import Normalizer

SPECTRAL = Normalizer(
    "spectral",
    "spectral normalization of every layer, one power iteration a call",
    wrap=lambda layer: sn_keras.SpectralNormalization(layer, name=layer.name),
    wrap_embedding=lambda layer: sn_keras.SpectralNormalization(layer, name=layer.name),
)

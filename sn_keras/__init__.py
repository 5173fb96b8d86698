"""Spectral normalization and its relatives as Keras 3 layers, on every backend."""

from sn_keras.folding import fold
from sn_keras.kernels import register_kernels
from sn_keras.spectral_normalization import SpectralNormalization

__version__ = "0.1.0"

__all__ = ["SpectralNormalization", "fold", "register_kernels"]

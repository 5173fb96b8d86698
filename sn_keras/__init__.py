"""Spectral normalization and its relatives as Keras 3 layers, on every backend."""

from sn_keras.conditional_batch_normalization import ConditionalBatchNormalization
from sn_keras.constraints import WeightClip
from sn_keras.folding import fold
from sn_keras.kernel_registry import register_kernels
from sn_keras.lipschitz import lipschitz_bound
from sn_keras.migration import migrate
from sn_keras.model_wrapping import wrap
from sn_keras.regularizers import OrthonormalRegularizer, SpectralNormRegularizer
from sn_keras.spectra import singular_values, spectral_norms
from sn_keras.spectral_normalization import SpectralNormalization
from sn_keras.weight_normalization import FrobeniusNormalization, WeightNormalization

__version__ = "0.2.0"

__all__ = [
    "ConditionalBatchNormalization",
    "FrobeniusNormalization",
    "OrthonormalRegularizer",
    "SpectralNormRegularizer",
    "SpectralNormalization",
    "WeightClip",
    "WeightNormalization",
    "fold",
    "lipschitz_bound",
    "migrate",
    "register_kernels",
    "singular_values",
    "spectral_norms",
    "wrap",
]

"""Weight and Frobenius normalization, and the γ reparametrization of all three.

The γ reparametrization (Miyato et al. 2018, appendix E) multiplies the normalized
kernel by a trainable γ that starts as the norm, so that the layer starts as the plain
one. Label embeddings are normalized without γ.
"""

from __future__ import annotations

from training.deferred import keras, sn_keras
from training.normalizers.base import Normalizer


def _normalizer(name: str, description: str, wrapper: str, gamma: bool) -> Normalizer:
    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        return getattr(sn_keras, wrapper)(layer, gamma=gamma, name=layer.name)

    def wrap_embedding(layer: keras.layers.Layer) -> keras.layers.Layer:
        return getattr(sn_keras, wrapper)(layer, name=layer.name)

    return Normalizer(
        name, description, wrap=wrap, wrap_embedding=wrap_embedding, bounds=not gamma
    )


WEIGHT_NORM = _normalizer(
    "weight-norm",
    "rows of every kernel divided by their norms, without the multiplier",
    "WeightNormalization",
    gamma=False,
)

FROBENIUS = _normalizer(
    "frobenius",
    "every kernel divided by its Frobenius norm",
    "FrobeniusNormalization",
    gamma=False,
)

SPECTRAL_GAMMA = _normalizer(
    "spectral-gamma",
    "spectral normalization times a trainable scalar a layer (appendix E)",
    "SpectralNormalization",
    gamma=True,
)

WEIGHT_NORM_GAMMA = _normalizer(
    "weight-norm-gamma",
    "weight normalization times a trainable scalar a row (appendix E)",
    "WeightNormalization",
    gamma=True,
)

FROBENIUS_GAMMA = _normalizer(
    "frobenius-gamma",
    "Frobenius normalization times a trainable scalar a layer (appendix E)",
    "FrobeniusNormalization",
    gamma=True,
)

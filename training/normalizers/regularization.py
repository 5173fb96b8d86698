"""Penalties on the singular values of D's kernels, added to its loss."""

from __future__ import annotations

from training.deferred import keras, sn_keras
from training.normalizers.base import Normalizer

ORTHONORMAL = Normalizer(
    "orthonormal",
    "orthonormal regularization of every layer, orthonormal initialization",
    layer_kwargs={
        "kernel_initializer": lambda: keras.initializers.Orthogonal(),
        "kernel_regularizer": lambda: sn_keras.OrthonormalRegularizer(),
    },
    embedding_kwargs={
        "embeddings_initializer": lambda: keras.initializers.Orthogonal(),
        "embeddings_regularizer": lambda: sn_keras.OrthonormalRegularizer(),
    },
)


def _spectral_norm_regularizer() -> keras.regularizers.Regularizer:
    return sn_keras.SpectralNormRegularizer()


SPECTRAL_REGULARIZATION = Normalizer(
    "spectral-regularization",
    "spectral norm regularization of every layer (Yoshida and Miyato 2017)",
    layer_kwargs={"kernel_regularizer": _spectral_norm_regularizer},
    embedding_kwargs={"embeddings_regularizer": _spectral_norm_regularizer},
)

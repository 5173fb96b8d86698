"""Penalties on the singular values of D's kernels, added to its loss."""

import keras

from sn_keras import OrthonormalRegularizer, SpectralNormRegularizer
from training.normalizers.base import Normalizer

ORTHONORMAL = Normalizer(
    "orthonormal",
    "orthonormal regularization of every layer, orthonormal initialization",
    layer_kwargs={
        "kernel_initializer": keras.initializers.Orthogonal,
        "kernel_regularizer": OrthonormalRegularizer,
    },
    embedding_kwargs={
        "embeddings_initializer": keras.initializers.Orthogonal,
        "embeddings_regularizer": OrthonormalRegularizer,
    },
)

SPECTRAL_REGULARIZATION = Normalizer(
    "spectral-regularization",
    "spectral norm regularization of every layer (Yoshida and Miyato 2017)",
    layer_kwargs={"kernel_regularizer": SpectralNormRegularizer},
    embedding_kwargs={"embeddings_regularizer": SpectralNormRegularizer},
)

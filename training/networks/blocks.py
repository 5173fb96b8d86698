"""The residual blocks of the paper's networks, and the layers that they are made of.

A block is a function from a Keras tensor to a Keras tensor. A shortcut is learned
(a 1×1 convolution) only where the block changes the width or resamples. Within the
blocks, 3×3 convolutions start as Glorot uniform times √2 and all else as Glorot
uniform, which is Keras' default; biases start at 0.

Source: Miyato et al. 2018, appendix B.4, and the authors' code,
https://github.com/pfnet-research/sngan_projection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training import values
from training.deferred import keras, layers
from training.normalizers import Normalizer

Tensor = Any
Normalize = Callable[[Tensor, str], Tensor]

BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 2e-5


def scaled(width: int, multiplier: float) -> int:
    """Returns a layer's width times the multiplier, rounded, and at least 1.

    Args:
        width: the paper's width.
        multiplier: positive number.

    Raises:
        TypeError: if `multiplier` is no number.
        ValueError: if it is not positive.
    """
    return max(1, round(width * values.number("width_multiplier", multiplier, above=0)))


def batch_norm(x: Tensor, name: str, synchronized: bool = False) -> Tensor:
    """Applies batch normalization with the paper's momentum and epsilon.

    Args:
        x: features.
        name: the layer's name.
        synchronized: whether statistics are those of the global batch under
            `tf.distribute`, rather than of each replica's share.
    """
    return layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        synchronized=synchronized,
        name=name,
    )(x)


def conv_3x3(normalizer: Normalizer, width: int, name: str) -> keras.layers.Layer:
    """Makes a 3×3 convolution of a residual block."""
    return normalizer.apply(
        layers.Conv2D,
        width,
        3,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_avg", distribution="uniform"
        ),
        name=name,
    )


def conv_1x1(normalizer: Normalizer, width: int, name: str) -> keras.layers.Layer:
    """Makes the 1×1 convolution of a learned shortcut."""
    return normalizer.apply(layers.Conv2D, width, 1, name=name)


def generator_block(
    x: Tensor, width: int, normalize: Normalize, plain: Normalizer, name: str
) -> Tensor:
    """Doubles the resolution: norm, ReLU, ×2, 3×3, norm, ReLU, 3×3, plus shortcut.

    Upsampling is nearest neighbour. The shortcut upsamples, then convolves 1×1.

    Args:
        x: images or features, shape `(batch, height, width, channels)`.
        width: channels of both convolutions.
        normalize: applies a normalization of a given name, conditional or not.
        plain: the normalizer `none`: G's kernels are never normalized.
        name: before the names of the block's layers.

    Returns:
        Features of shape `(batch, 2 · height, 2 · width, width)`.
    """
    h = normalize(x, f"{name}_norm1")
    h = layers.ReLU(name=f"{name}_relu1")(h)
    h = layers.UpSampling2D(interpolation="nearest", name=f"{name}_upsample")(h)
    h = conv_3x3(plain, width, f"{name}_conv1")(h)
    h = normalize(h, f"{name}_norm2")
    h = layers.ReLU(name=f"{name}_relu2")(h)
    h = conv_3x3(plain, width, f"{name}_conv2")(h)
    shortcut = layers.UpSampling2D(
        interpolation="nearest", name=f"{name}_shortcut_upsample"
    )(x)
    shortcut = conv_1x1(plain, width, f"{name}_shortcut")(shortcut)
    return layers.Add(name=f"{name}_add")([h, shortcut])


def discriminator_block(
    x: Tensor, width: int, downsample: bool, normalizer: Normalizer, name: str
) -> Tensor:
    """ReLU, 3×3, ReLU, 3×3, average pooling, plus shortcut.

    The first convolution keeps the width of the input (hidden = in). The shortcut
    convolves 1×1, **then** pools.

    Args:
        x: features, shape `(batch, height, width, channels)`.
        width: channels of the block's output.
        downsample: whether to halve the resolution.
        normalizer: the method that D is trained with.
        name: before the names of the block's layers.

    Returns:
        Features with `width` channels.
    """
    hidden = x.shape[-1]
    h = normalized_relu(x, normalizer, f"{name}_relu1")
    h = conv_3x3(normalizer, hidden, f"{name}_conv1")(h)
    h = normalized_relu(h, normalizer, f"{name}_relu2")
    h = conv_3x3(normalizer, width, f"{name}_conv2")(h)
    shortcut = x
    if downsample or hidden != width:
        shortcut = conv_1x1(normalizer, width, f"{name}_shortcut")(shortcut)
    if downsample:
        h = layers.AveragePooling2D(2, name=f"{name}_pool")(h)
        shortcut = layers.AveragePooling2D(2, name=f"{name}_shortcut_pool")(shortcut)
    return layers.Add(name=f"{name}_add")([h, shortcut])


def first_discriminator_block(
    x: Tensor, width: int, normalizer: Normalizer, name: str
) -> Tensor:
    """3×3, ReLU, 3×3, average pooling, plus shortcut; for images.

    No activation before the first convolution, which would cut off half of the pixel
    values; hidden = out. The shortcut pools, **then** convolves 1×1.

    Args:
        x: images, shape `(batch, height, width, channels)`.
        width: channels of both convolutions.
        normalizer: the method that D is trained with.
        name: before the names of the block's layers.

    Returns:
        Features of half the resolution with `width` channels.
    """
    h = conv_3x3(normalizer, width, f"{name}_conv1")(x)
    h = layers.ReLU(name=f"{name}_relu2")(h)  # no norm after D's first convolution
    h = conv_3x3(normalizer, width, f"{name}_conv2")(h)
    h = layers.AveragePooling2D(2, name=f"{name}_pool")(h)
    shortcut = layers.AveragePooling2D(2, name=f"{name}_shortcut_pool")(x)
    shortcut = conv_1x1(normalizer, width, f"{name}_shortcut")(shortcut)
    return layers.Add(name=f"{name}_add")([h, shortcut])


def normalized_relu(x: Tensor, normalizer: Normalizer, name: str) -> Tensor:
    """ReLU in D, after what the normalizer puts before an activation."""
    if normalizer.between is not None:
        x = normalizer.between()(x)
    return layers.ReLU(name=name)(x)

"""A small residual network, to be trained on a data set's own labels and scored by.

For work where the Inception weights can't be had. Its scores are called FCD and CS and
compare with those of the same classifier alone.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# By the images' channels: colours need a wider network than digits and clothes do.
WIDTHS = {1: (32, 64, 128), 3: (64, 256, 256)}
# Directions of patches that the first convolution has filters for.
WHITENED = 24


def build_classifier(
    image_shape: tuple[int, int, int], classes: int, seed: int = 0
) -> keras.Model:
    """Builds the network: whitening, then three times a convolution and a residual one.

    Args:
        image_shape: (height, width, channels). Images of 64 px and more are made
            smaller by whitening larger patches, with strides.
        classes: number of classes.
        seed: seed of the weights. Defaults to 0.

    Returns:
        A Functional model, images with values from 0 to 255 to `[features (n, d),
        logits (n, classes)]`. d is 128 for grey images and 256 for colours.
    """
    seeds = itertools.count(100 * seed)

    def convolution(x: keras.KerasTensor, filters: int, pool: bool = False) -> Any:
        x = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        )(x)
        # Before the rest of what is done to each value: a quarter of them is left.
        if pool and min(x.shape[1:3]) > 4:
            x = keras.layers.MaxPooling2D()(x)
        # Short trainings: the statistics must follow within a few hundred steps.
        x = keras.layers.BatchNormalization(momentum=0.9, scale=False)(x)
        return keras.layers.ReLU()(x)

    images = keras.Input(image_shape, name="images")
    x = keras.layers.Rescaling(1 / 64, offset=-2.0)(images)
    stride = max(1, min(image_shape[:2]) // 32)
    size = max(2, stride)
    x = keras.layers.Conv2D(
        2 * min(size * size * image_shape[2], WHITENED),
        size,
        strides=stride,
        padding="same",
        name="whitening",
    )(x)
    x = keras.layers.ReLU()(x)
    for filters in WIDTHS[image_shape[2]]:
        x = convolution(x, filters, pool=True)
        x = keras.layers.Add()([x, convolution(x, filters)])
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        name="logits",
    )(features)
    return keras.Model(images, [features, logits], name="classifier")


def with_mirror_image(network: keras.Model) -> keras.Model:
    """Returns a model that answers by the mean of an image and its mirror image.

    Args:
        network: of `build_classifier`.

    Returns:
        A model of the same inputs and outputs, with the network's own weights.
    """
    images = keras.Input(network.input_shape[1:], name="images")
    both = zip(network(images), network(images[:, :, ::-1]), strict=True)
    means = [
        keras.layers.Average(name=name)(pair)
        for name, pair in zip(network.output_names, both, strict=True)
    ]
    return keras.Model(images, means, name="classifier")


def whiten(model: keras.Model, images: NDArray[np.uint8]) -> None:
    """Sets the first convolution to the directions in which patches of images vary.

    Its filters are their patches' eigenvectors, each by the square root of its
    eigenvalue, and the same with the other sign: what comes out has no correlations,
    so that the layers behind it learn at once from fine details, which are faint, as
    from the brightness. They stay as they are (Page 2018; Jordan 2024, "94% on
    CIFAR-10 in 3.29 seconds", section 3.2).

    Args:
        model: of `build_classifier`.
        images: uint8, shape (n, height, width, channels), in any order but by class;
            the first are taken, 2,000 of 32 px and fewer of larger ones.
    """
    layer = model.get_layer("whitening")
    height, width = images.shape[1:3]
    images = images[: min(2000, max(1, 2000 * 32 * 32 // (height * width)))]
    size, _, channels, filters = layer.kernel.shape
    patches = tf.image.extract_patches(
        tf.cast(images, tf.float32) / 64 - 2,
        [1, size, size, 1],
        [1, size, size, 1],
        [1, 1, 1, 1],
        "VALID",
    )
    rows = np.reshape(patches.numpy(), (-1, size * size * channels))
    variances, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    largest = vectors[:, ::-1][:, : filters // 2]
    scales = np.sqrt(variances[::-1][: filters // 2] + 5e-4)
    kernel = (largest / scales).reshape(size, size, channels, filters // 2)
    layer.kernel.assign(np.concatenate([kernel, -kernel], axis=-1))
    layer.kernel.trainable = False

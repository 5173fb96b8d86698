"""The standard CNN of the paper (table 3)."""

from __future__ import annotations

import math
from typing import Any

from training import values
from training.deferred import keras, layers
from training.networks.base import Network, check_image_shape
from training.networks.blocks import scaled
from training.networks.conditional import (
    check_conditioning,
    check_num_classes,
    generator_norm,
    head,
    join_labels,
    label_input,
)
from training.normalizers import NORMALIZERS, Normalizer

_SLOPE = 0.1
_JOINED_BEFORE = 4
_SIZES = "28 to 64 px, any even size, 1 or 3 channels"


def generator(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    latent_dim: int = 128,
    width_multiplier: float = 1.0,
    num_classes: int | None = None,
    first_batch_norm: bool = False,
    kernel_initializer: Any = "glorot_uniform",
    synchronized: bool = False,
) -> keras.Model:
    """Makes the generator of the standard CNN.

    Dense to `M × M × 512`; 4×4 transposed convolutions of stride 2 to 256, 128 and 64
    channels, each with batch norm and ReLU; a 3×3 convolution to the image, tanh.
    `M = ⌈size / 8⌉`; where `8 M` is more than the size (28 px), the middle is cut out.

    Args:
        image_shape: `(height, width, channels)`: square, 28 to 64 px, even; 1 or 3
            channels.
        latent_dim: length of the latent vectors.
        width_multiplier: multiplies the channels of all hidden layers.
        num_classes: if given, the model has an input `labels` and its batch norms are
            `ConditionalBatchNormalization`.
        first_batch_norm: whether batch norm and ReLU follow the dense layer. The
            paper's table shows none (the default); the authors' `chainer-gan-lib` has
            it.
        kernel_initializer: the paper names none. Defaults to Glorot uniform, which
            suits any width; `chainer-gan-lib` takes
            `keras.initializers.RandomNormal(stddev=0.02)`.
        synchronized: whether batch norm's statistics are those of the global batch
            under `tf.distribute`. By default each replica takes its own share's.

    Returns:
        A Functional model from `latents`, shape `(batch, latent_dim)`, and `labels`,
        shape `(batch,)`, if there are classes, to `images` in [−1, 1].

    Raises:
        ValueError: if an argument is out of its range.
    """
    size, channels = check(image_shape)
    classes = check_num_classes(num_classes)
    latent_dim = values.integer("latent_dim", latent_dim)
    bottom = math.ceil(size / 8)
    first, *widths = (scaled(w, width_multiplier) for w in (512, 256, 128, 64))
    latents = keras.Input((latent_dim,), name="latents")
    labels = label_input() if classes else None
    normalize = generator_norm(labels, classes, synchronized)

    def kernel() -> Any:
        return keras.initializers.get(kernel_initializer)

    def norm_relu(x: Any, name: str) -> Any:
        return layers.ReLU(name=f"relu_{name}")(normalize(x, f"norm_{name}"))

    x = layers.Dense(
        bottom * bottom * first, kernel_initializer=kernel(), name="dense"
    )(latents)
    x = layers.Reshape((bottom, bottom, first), name="reshape")(x)
    if first_batch_norm:
        x = norm_relu(x, "0")
    for i, filters in enumerate(widths, start=1):
        x = layers.Conv2DTranspose(
            filters,
            4,
            strides=2,
            padding="same",
            kernel_initializer=kernel(),
            name=f"deconv_{i}",
        )(x)
        x = norm_relu(x, str(i))
    x = layers.Conv2D(
        channels, 3, padding="same", kernel_initializer=kernel(), name="to_image"
    )(x)
    if 8 * bottom != size:
        x = layers.Cropping2D((8 * bottom - size) // 2, name="crop")(x)
    # float32 also under a mixed policy: images are data, half precision has steps of
    # 1/256 near ±1.
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    inputs = latents if labels is None else [latents, labels]
    return keras.Model(inputs, images, name="generator")


def discriminator(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    normalizer: Normalizer = NORMALIZERS["spectral"],
    width_multiplier: float = 1.0,
    num_classes: int | None = None,
    conditioning: str | None = None,
    kernel_initializer: Any = "glorot_uniform",
    last_width_multiplier: float = 1.0,
) -> keras.Model:
    """Makes the discriminator of the standard CNN.

    3×3 stride 1 to 64 channels; 4×4 stride 2 to 64; 3×3, 128; 4×4 stride 2, 128; 3×3,
    256; 4×4 stride 2, 256; 3×3, 512, each with leaky ReLU of slope 0.1; dense to 1.

    Args:
        image_shape: `(height, width, channels)`: square, 28 to 64 px, even; 1 or 3
            channels.
        normalizer: what is done to the layers; one of `training.normalizers`.
        width_multiplier: multiplies the channels of all hidden layers.
        num_classes: number of classes, needed for `conditioning`.
        conditioning: how labels come in: None, `"projection"`, `"concat"` or
            `"auxiliary"`. The paper has no conditional CNN; here labels are
            concatenated where the size has been halved twice.
        kernel_initializer: the paper names none; see `generator`.
        last_width_multiplier: multiplies the channels of the last convolution (the
            paper's feature dimension experiment, fig. 4).

    Returns:
        A Functional model from `images`, and `labels` for projection and
        concatenation, to `logits`, shape `(batch, 1)`; with an auxiliary classifier
        to a dict of `logits` and `class_logits`.

    Raises:
        ValueError: if an argument is out of its range.
    """
    size, channels = check(image_shape)
    classes = check_conditioning(conditioning, num_classes)
    images = keras.Input((size, size, channels), name="images")
    labels = label_input() if conditioning in ("projection", "concat") else None
    widths = [scaled(w, width_multiplier) for w in (64, 64, 128, 128, 256, 256, 512)]
    widths[-1] = scaled(widths[-1], last_width_multiplier)
    x = images
    for i, filters in enumerate(widths):
        strides = 1 + i % 2
        if conditioning == "concat" and i == _JOINED_BEFORE:
            x = join_labels(x, labels, classes, normalizer, width_multiplier)
        x = normalizer.apply(
            layers.Conv2D,
            filters,
            3 if strides == 1 else 4,
            strides=strides,
            padding="same",
            kernel_initializer=keras.initializers.get(kernel_initializer),
            name=f"conv_{i}",
        )(x)
        if normalizer.between is not None and i > 0:
            x = normalizer.between()(x)
        x = layers.LeakyReLU(_SLOPE, name=f"relu_{i}")(x)
    logits = head(
        layers.Flatten(name="features")(x),
        normalizer,
        conditioning,
        labels,
        classes,
        kernel_initializer=kernel_initializer,
    )
    inputs = images if labels is None else [images, labels]
    return keras.Model(inputs, logits, name="discriminator")


def check(image_shape: Any) -> tuple[int, int]:
    """Returns size and channels of images that the standard CNN takes.

    Raises:
        ValueError: if it doesn't take them.
    """
    return check_image_shape(image_shape, "cnn", range(28, 65, 2), (1, 3))


CNN = Network(
    "cnn",
    generator,
    discriminator,
    _SIZES,
    "the standard CNN (table 3)",
    check,
)

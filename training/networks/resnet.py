"""The paper's residual networks for images of 32, 48 and 128 pixels, and their like.

Other sizes from 32 to 256 are made as the paper's 128-pixel networks are.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from training import normalizers, values
from training.deferred import keras, layers, ops
from training.networks.base import Network, check_image_shape
from training.networks.blocks import (
    batch_norm,
    discriminator_block,
    first_discriminator_block,
    generator_block,
    normalized_relu,
    scaled,
)
from training.networks.conditional import (
    check_conditioning,
    check_num_classes,
    generator_norm,
    head,
    join_labels,
    label_input,
)


@dataclasses.dataclass(frozen=True)
class _Architecture:
    """One column of tables 4, 5 and 6.

    Attributes:
        start: side of the first feature map of G, which has `generator[0]` channels.
        generator: widths of the dense layer and of the up-blocks.
        discriminator: widths of the blocks, the last of which keep the resolution.
        downsampling: how many blocks of D halve it.
        joined_after: after how many blocks labels are concatenated.
        logit_bias: whether D's last dense layer has a bias.
    """

    start: int
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    downsampling: int
    joined_after: int
    logit_bias: bool


# The paper concatenates labels in the 128-pixel network alone, halfway through D; the
# other two follow that. Without a bias: the authors' CIFAR-10 code.
_ARCHITECTURES = {
    32: _Architecture(4, (256,) * 4, (128,) * 4, 2, 2, False),
    48: _Architecture(6, (512, 256, 128, 64), (64, 128, 256, 512, 1024), 4, 3, True),
    128: _Architecture(
        4,
        (1024, 1024, 512, 256, 128, 64),
        (64, 128, 256, 512, 1024, 1024),
        5,
        3,
        True,
    ),
}


# Each size once: of 4·2ⁿ, 5·2ⁿ, 6·2ⁿ and 7·2ⁿ.
_STARTS = (4, 5, 6, 7)
SIZES = sorted(
    start * 2**n for start in _STARTS for n in range(3, 7) if start * 2**n <= 256
)


def generator(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    latent_dim: int = 128,
    width_multiplier: float = 1.0,
    num_classes: int | None = None,
    synchronized: bool = False,
) -> keras.Model:
    """Makes the residual generator of the image's size.

    Dense, up-blocks, batch norm, ReLU, 3×3 convolution, tanh. With `num_classes` the
    batch norms of the blocks are conditional; the last one is not. The last
    convolution starts as Glorot uniform, without the blocks' √2, as in the authors'
    code.

    Args:
        image_shape: `(height, width, channels)`, square, of a size in `SIZES`.
        latent_dim: length of the latent vectors.
        width_multiplier: factor of all widths.
        num_classes: number of classes, or None for an unconditional generator.
        synchronized: whether batch norm's statistics are those of the global batch
            under `tf.distribute`. By default each replica takes its own share's.

    Returns:
        A Functional model from `latents`, shape `(batch, latent_dim)` (and `labels`,
        integers of shape `(batch,)`), to images in [−1, 1].

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    g = generator((32, 32, 3), num_classes=10, width_multiplier=0.1)
    images = g([latents, labels])
    ```

    Source: Miyato et al. 2018, tables 4 to 6.
    """
    architecture = _architecture(image_shape)
    latent_dim = values.integer("latent_dim", latent_dim)
    plain = normalizers.get("none")
    latents = keras.Input((latent_dim,), name="latents")
    classes = check_num_classes(num_classes)
    labels = label_input() if classes else None
    normalize = generator_norm(labels, classes, synchronized)

    side = architecture.start
    width, *widths = (scaled(w, width_multiplier) for w in architecture.generator)
    x = layers.Dense(side * side * width, name="dense")(latents)
    x = layers.Reshape((side, side, width), name="reshape")(x)
    for number, width in enumerate(widths, start=1):
        x = generator_block(x, width, normalize, plain, f"block{number}")
    x = batch_norm(x, "norm", synchronized)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(image_shape[2], 3, padding="same", name="to_image")(x)
    # float32 whatever the policy: bfloat16 has fewer steps in [−1, 1] than a pixel.
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    inputs = latents if labels is None else [latents, labels]
    return keras.Model(inputs, images, name="generator")


def discriminator(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    normalizer: normalizers.Normalizer = normalizers.NORMALIZERS["spectral"],
    width_multiplier: float = 1.0,
    num_classes: int | None = None,
    conditioning: str | None = None,
    last_width_multiplier: float = 1.0,
) -> keras.Model:
    """Makes the residual discriminator of the image's size.

    Blocks, ReLU, **sum** over all positions, dense.

    Args:
        image_shape: `(height, width, channels)`, square, of a size in `SIZES`.
        normalizer: one of `training.normalizers.NORMALIZERS`.
        width_multiplier: factor of all widths.
        num_classes: number of classes, or None for an unconditional discriminator.
        conditioning: None, `"projection"`, `"concat"` (the paper's form; labels are
            joined after block 3 at 128 and 48 pixels, after block 2 at 32) or
            `"auxiliary"`.
        last_width_multiplier: factor of the last block's width, besides
            `width_multiplier`.

    Returns:
        A Functional model from `images` (and, but for `"auxiliary"`, `labels`) to
        logits of shape `(batch, 1)`; for `"auxiliary"` to a dict of `"logits"` and
        `"class_logits"`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
    ```python
    d = discriminator(
        (32, 32, 3), num_classes=10, conditioning="projection", width_multiplier=0.1
    )
    logits = d([images, labels], training=True)
    ```

    Source: Miyato et al. 2018, tables 4 to 6.
    """
    architecture = _architecture(image_shape)
    classes = check_conditioning(conditioning, num_classes)
    images = keras.Input(tuple(image_shape), name="images")
    labels = label_input() if conditioning in ("projection", "concat") else None

    widths = [scaled(w, width_multiplier) for w in architecture.discriminator]
    widths[-1] = scaled(widths[-1], last_width_multiplier)
    x = first_discriminator_block(images, widths[0], normalizer, "block1")
    for number, width in enumerate(widths[1:], start=2):
        if conditioning == "concat" and number == architecture.joined_after + 1:
            x = join_labels(x, labels, classes, normalizer, width_multiplier)
        downsample = number <= architecture.downsampling
        x = discriminator_block(x, width, downsample, normalizer, f"block{number}")
    x = normalized_relu(x, normalizer, "relu")
    features = ops.sum(x, axis=(1, 2))
    logits = head(
        features,
        normalizer,
        conditioning,
        labels,
        classes,
        use_bias=architecture.logit_bias,
    )
    inputs = images if labels is None else [images, labels]
    return keras.Model(inputs, logits, name="discriminator")


def check(image_shape: Any) -> tuple[int, int]:
    """Returns size and channels of images that the residual network takes.

    Raises:
        ValueError: if it doesn't take them.
    """
    return check_image_shape(image_shape, "resnet", SIZES)


def _architecture(image_shape: Any) -> _Architecture:
    """Returns the paper's, or what its 128-pixel networks are made by.

    G's last block has 64 channels and each one before it twice as many, up to 1024;
    D's blocks likewise the other way round, and one more that keeps the resolution.
    """
    size, _ = check(image_shape)
    if size in _ARCHITECTURES:
        return _ARCHITECTURES[size]
    start = next(one for one in _STARTS if size % one == 0 and _is_power(size // one))
    doublings = (size // start).bit_length() - 1
    widths = [min(64 * 2**i, 1024) for i in range(doublings + 1)]
    generator = (widths[-1], *widths[-2::-1])
    return _Architecture(start, generator, tuple(widths), doublings, 3, True)


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0


RESNET = Network(
    "resnet",
    generator,
    discriminator,
    f"{', '.join(map(str, SIZES))} px, square",
    "residual network of the paper's tables 4 to 6",
    _architecture,
)

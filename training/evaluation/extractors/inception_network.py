"""The 2015 Inception network that IS and FID are defined by, as a Keras model.

This is the graph of inception-2015-12-05, which differs from `keras.applications`'
InceptionV3: 1,008 classes, average pools that leave the padding out, a maximum pool in
the last block, and batch normalisation with a scale. Batch normalisation is folded into
the convolutions, whose layers are named like the modules of torch-fidelity's weights.

Source: Szegedy et al., "Rethinking the Inception architecture for computer vision",
2015, arXiv 1512.00567; the layers' order and names follow torch-fidelity 0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import layers

IMAGE_SIZE = 299
FEATURES = 2048
CLASSES = 1008

Branch = Callable[[keras.KerasTensor], keras.KerasTensor]


def inception_network(image_size: int = IMAGE_SIZE) -> keras.Model:
    """Builds the network without weights.

    Args:
        image_size: height and width of the input. Defaults to the 299 px that the
            graph is defined with; at least 75.

    Returns:
        A Functional model: images (n, image_size, image_size, 3), preprocessed to
        (x − 128)/128, to `[features (n, 2048), logits (n, 1008)]`, the logits without
        bias. About 22 million parameters.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = _convolution("Conv2d_1a_3x3", 32, 3, strides=2)(images)
    x = _convolution("Conv2d_2a_3x3", 32, 3, padding="valid")(x)
    x = _convolution("Conv2d_2b_3x3", 64, 3)(x)
    x = layers.MaxPooling2D(3, 2)(x)
    x = _convolution("Conv2d_3b_1x1", 80, 1)(x)
    x = _convolution("Conv2d_4a_3x3", 192, 3, padding="valid")(x)
    x = layers.MaxPooling2D(3, 2)(x)
    for name, pool_width in (("5b", 32), ("5c", 64), ("5d", 64)):
        x = _block_a(f"Mixed_{name}", x, pool_width)
    x = _block_b("Mixed_6a", x)
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = _block_c(f"Mixed_{name}", x, width)
    x = _block_d("Mixed_7a", x)
    x = _block_e("Mixed_7b", x, layers.AveragePooling2D(3, 1, padding="same"))
    x = _block_e("Mixed_7c", x, layers.MaxPooling2D(3, 1, padding="same"))
    features = layers.GlobalAveragePooling2D(name="features")(x)
    logits = layers.Dense(CLASSES, use_bias=False, name="fc")(features)
    return keras.Model(images, [features, logits], name="inception_2015_12_05")


def _convolution(
    name: str,
    filters: int,
    size: int | tuple[int, int],
    strides: int = 1,
    padding: str = "same",
) -> layers.Conv2D:
    return layers.Conv2D(
        filters,
        size,
        strides,
        "valid" if strides == 2 else padding,
        activation="relu",
        name=name,
    )


def _chain(
    block: str, *steps: tuple[str, int, int | tuple[int, int]], last_stride: int = 1
) -> Branch:
    """Convolutions one after the other, as (name, filters, size)."""

    def apply(x: keras.KerasTensor) -> keras.KerasTensor:
        for index, (name, filters, size) in enumerate(steps):
            stride = last_stride if index == len(steps) - 1 else 1
            x = _convolution(f"{block}.{name}", filters, size, stride)(x)
        return x

    return apply


def _join(x: keras.KerasTensor, branches: Sequence[Branch]) -> keras.KerasTensor:
    return layers.Concatenate()([branch(x) for branch in branches])


def _pooled(block: str, pool: layers.Layer, width: int) -> Branch:
    return lambda x: _convolution(f"{block}.branch_pool", width, 1)(pool(x))


def _average() -> layers.Layer:
    return layers.AveragePooling2D(3, 1, padding="same")


def _block_a(block: str, x: keras.KerasTensor, pool: int) -> keras.KerasTensor:
    return _join(
        x,
        [
            _chain(block, ("branch1x1", 64, 1)),
            _chain(block, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
            _chain(
                block,
                ("branch3x3dbl_1", 64, 1),
                ("branch3x3dbl_2", 96, 3),
                ("branch3x3dbl_3", 96, 3),
            ),
            _pooled(block, _average(), pool),
        ],
    )


def _block_b(block: str, x: keras.KerasTensor) -> keras.KerasTensor:
    return _join(
        x,
        [
            _chain(block, ("branch3x3", 384, 3), last_stride=2),
            _chain(
                block,
                ("branch3x3dbl_1", 64, 1),
                ("branch3x3dbl_2", 96, 3),
                ("branch3x3dbl_3", 96, 3),
                last_stride=2,
            ),
            layers.MaxPooling2D(3, 2),
        ],
    )


def _block_c(block: str, x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    return _join(
        x,
        [
            _chain(block, ("branch1x1", 192, 1)),
            _chain(
                block,
                ("branch7x7_1", width, 1),
                ("branch7x7_2", width, (1, 7)),
                ("branch7x7_3", 192, (7, 1)),
            ),
            _chain(
                block,
                ("branch7x7dbl_1", width, 1),
                ("branch7x7dbl_2", width, (7, 1)),
                ("branch7x7dbl_3", width, (1, 7)),
                ("branch7x7dbl_4", width, (7, 1)),
                ("branch7x7dbl_5", 192, (1, 7)),
            ),
            _pooled(block, _average(), 192),
        ],
    )


def _block_d(block: str, x: keras.KerasTensor) -> keras.KerasTensor:
    return _join(
        x,
        [
            _chain(
                block, ("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3), last_stride=2
            ),
            _chain(
                block,
                ("branch7x7x3_1", 192, 1),
                ("branch7x7x3_2", 192, (1, 7)),
                ("branch7x7x3_3", 192, (7, 1)),
                ("branch7x7x3_4", 192, 3),
                last_stride=2,
            ),
            layers.MaxPooling2D(3, 2),
        ],
    )


def _block_e(block: str, x: keras.KerasTensor, pool: layers.Layer) -> keras.KerasTensor:
    def fork(stem: Branch, name: str) -> Branch:
        """A stem whose output goes through a 1×3 and a 3×1 convolution."""
        return lambda x: _join(
            stem(x),
            [
                _chain(block, (f"{name}a", 384, (1, 3))),
                _chain(block, (f"{name}b", 384, (3, 1))),
            ],
        )

    return _join(
        x,
        [
            _chain(block, ("branch1x1", 320, 1)),
            fork(_chain(block, ("branch3x3_1", 384, 1)), "branch3x3_2"),
            fork(
                _chain(block, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)),
                "branch3x3dbl_3",
            ),
            _pooled(block, pool, 192),
        ],
    )

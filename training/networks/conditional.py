"""How labels enter a network: G's normalization, and three forms of D.

| `conditioning` | D |
|---|---|
| `"projection"` | logits = dense(h) + ⟨embed(y), h⟩ |
| `"concat"` | a 128-d embedding of y is tiled and joined to the features midway |
| `"auxiliary"` | D sees no labels and predicts them from h beside the logits |

Source: Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637 (projection); Miyato
et al. 2018, appendix B.4 (concat); Odena et al. 2017,
https://arxiv.org/abs/1610.09585 (auxiliary).
"""

from __future__ import annotations

from typing import Any

from training import values
from training.deferred import keras, layers, sn_keras
from training.networks.blocks import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    Normalize,
    batch_norm,
    scaled,
)
from training.normalizers import Normalizer

Tensor = Any

CONDITIONINGS = ("projection", "concat", "auxiliary")
_EMBEDDING_WIDTH = 128


def check_num_classes(num_classes: int | None) -> int:
    """Returns `num_classes`, or 0 for None.

    Args:
        num_classes: number of classes, or None for an unconditional network.

    Raises:
        TypeError: if it is neither None nor an integer.
        ValueError: if it is below 1.
    """
    if num_classes is None:
        return 0
    return values.integer("num_classes", num_classes)


def check_name(conditioning: str | None) -> None:
    """Raises if a form of conditioning is neither None nor known."""
    if conditioning is not None:
        values.name("conditioning", conditioning, CONDITIONINGS)


def check_conditioning(conditioning: str | None, num_classes: int | None) -> int:
    """Checks a discriminator's two arguments, which go together.

    Args:
        conditioning: one of `CONDITIONINGS`, or None.
        num_classes: number of classes, or None.

    Returns:
        The number of classes, 0 for None.

    Raises:
        ValueError: if either is out of its range, or one of the two is None.
    """
    check_name(conditioning)
    if (conditioning is None) != (num_classes is None):
        raise ValueError(
            "`conditioning` and `num_classes` go together: a conditional "
            "discriminator needs both, another one neither. Received: "
            f"conditioning={conditioning!r}, num_classes={num_classes!r}"
        )
    return check_num_classes(num_classes)


def label_input() -> Tensor:
    """Makes the input `labels`, integers of shape `(batch,)`."""
    return keras.Input((), dtype="int32", name="labels")


def generator_norm(
    labels: Tensor | None, num_classes: int, synchronized: bool = False
) -> Normalize:
    """Returns what G normalizes with: by class if there are labels.

    Args:
        labels: the input `labels`, or None.
        num_classes: number of classes, if there are labels.
        synchronized: whether statistics are those of the global batch under
            `tf.distribute`, rather than of each replica's share.
    """

    def normalize(x: Tensor, name: str) -> Tensor:
        if labels is None:
            return batch_norm(x, name, synchronized)
        return sn_keras.ConditionalBatchNormalization(
            num_classes,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            synchronized=synchronized,
            name=name,
        )(x, labels)

    return normalize


def interpolating(generator: keras.Model) -> keras.Model:
    """Returns the generator with labels as weightings of the classes.

    A row of zeros and one 1 gives what the integer gives; `[0.5, 0.5, 0, …]` is half
    way between the first two classes: the scales and shifts of conditional batch norm
    are mixed.

    Args:
        generator: a conditional one of `training.networks.NETWORKS`.

    Returns:
        A Functional model from `latents` and `labels`, now floats of shape
        `(batch, num_classes)`, to images. It shares all weights with `generator`.

    Raises:
        ValueError: if `generator` is not conditional.

    Example:
    ```python
    from training.networks import resnet

    generator = resnet.generator((32, 32, 3), num_classes=10, width_multiplier=0.1)
    between = np.tile((cat + dog) / 2, (64, 1))  # two rows of the unit matrix
    images = interpolating(generator)([latents, between])
    ```
    """
    classes = {
        layer.num_classes
        for layer in generator.layers
        if isinstance(layer, sn_keras.ConditionalBatchNormalization)
    }
    if len(classes) != 1 or len(generator.inputs) != 2:
        raise ValueError(
            "`generator` must be a conditional generator, with the inputs `latents` "
            "and `labels`. Received: a model with the inputs "
            f"{[x.name for x in generator.inputs]}"
        )
    latents, _ = generator.inputs
    return keras.models.clone_model(
        generator,
        input_tensors=[
            keras.Input(latents.shape[1:], name="latents"),
            keras.Input((classes.pop(),), name="labels"),
        ],
        clone_function=lambda layer: layer,
    )


def join_labels(
    x: Tensor,
    labels: Tensor,
    num_classes: int,
    normalizer: Normalizer,
    width_multiplier: float = 1.0,
) -> Tensor:
    """Joins an embedding of the labels to the features at every position.

    Args:
        x: features, shape `(batch, height, width, channels)`.
        labels: integers, shape `(batch,)`.
        num_classes: number of classes.
        normalizer: the method that D is trained with.
        width_multiplier: factor of the embedding's 128 channels.

    Returns:
        Features with 128 channels more (times the multiplier).
    """
    _, height, width, _ = x.shape
    channels = scaled(_EMBEDDING_WIDTH, width_multiplier)
    embedded = _embedding(num_classes, channels, normalizer)(labels)
    tiled = layers.RepeatVector(height * width, name="labels_repeat")(embedded)
    tiled = layers.Reshape((height, width, channels), name="labels_tile")(tiled)
    return layers.Concatenate(name="labels_concat")([x, tiled])


def head(
    features: Tensor,
    normalizer: Normalizer,
    conditioning: str | None = None,
    labels: Tensor | None = None,
    num_classes: int = 0,
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
) -> Any:
    """The end of D: from features to logits, which are float32 under any policy.

    Args:
        features: shape `(batch, width)`.
        normalizer: the method that D is trained with.
        conditioning: one of `CONDITIONINGS`, or None.
        labels: integers, shape `(batch,)`; for `"projection"`.
        num_classes: number of classes; for `"projection"` and `"auxiliary"`.
        use_bias: whether the last dense layer has a bias.
        kernel_initializer: of the dense layers.

    Returns:
        Logits, shape `(batch, 1)`; for `"auxiliary"` a dict of these (`"logits"`) and
        of `"class_logits"`, shape `(batch, num_classes)`.
    """

    def dense(width: int, name: str, bias: bool) -> Tensor:
        layer = normalizer.apply(
            layers.Dense,
            width,
            use_bias=bias,
            kernel_initializer=keras.initializers.get(kernel_initializer),
            name=name,
        )
        return layer(features)

    logits = dense(1, "dense", use_bias)
    if conditioning == "projection":
        embedded = _embedding(num_classes, features.shape[-1], normalizer)(labels)
        projection = layers.Dot(axes=1, name="projection")([embedded, features])
        logits = layers.Add(name="projection_add")([logits, projection])
    logits = _in_float32(logits, "logits")
    if conditioning == "auxiliary":
        class_logits = dense(num_classes, "class_dense", True)
        class_logits = _in_float32(class_logits, "class_logits")
        return {"logits": logits, "class_logits": class_logits}
    return logits


def _in_float32(x: Tensor, name: str) -> Tensor:
    return layers.Activation("linear", dtype="float32", name=name)(x)


def _embedding(
    num_classes: int, width: int, normalizer: Normalizer
) -> keras.layers.Layer:
    return normalizer.apply_embedding(
        num_classes,
        width,
        embeddings_initializer="glorot_uniform",
        name="labels_embedding",
    )

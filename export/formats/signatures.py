"""The functions that an exported generator offers, as TensorFlow graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from export.reading.loading import Generator

# A threshold at which the normal distribution is not cut off in float32.
NO_TRUNCATION = 8.0


def to_uint8(images: Any, output_range: tuple[float, float] = (-1.0, 1.0)) -> Any:
    """Returns images as `round((x − low) · 255 / (high − low))`, clipped to [0, 255].

    Args:
        images: of any floating dtype.
        output_range: the values of black and of white. Defaults to −1 and 1.
    """
    low, high = output_range
    scaled = tf.round((tf.cast(images, tf.float32) - low) * (255.0 / (high - low)))
    return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)


def draw_latents(count: Any, latent_dim: int, seed: Any, truncation: Any) -> Any:
    """Returns normal latents cut off at ±`truncation`, a function of the seed alone.

    The quantile function of the normal distribution is applied to uniform numbers
    between `Φ(−truncation)` and `Φ(truncation)`: what resampling until every
    component is inside would give, without a loop. Small values trade variety for
    typical images; 0 gives the latent 0 for every image.

    Args:
        count: number of latents, scalar integer.
        latent_dim: size of a latent.
        seed: scalar integer.
        truncation: scalar, 0 or more.
    """
    truncation = tf.minimum(tf.cast(truncation, tf.float32), NO_TRUNCATION)
    with tf.control_dependencies(
        [
            tf.debugging.assert_non_negative(truncation, "`truncation` is negative"),
            tf.debugging.assert_positive(count, "`count` must be 1 or more"),
        ]
    ):
        seeds = tf.stack([tf.cast(seed, tf.int64), tf.constant(0, tf.int64)])
    # Half the interval and a random sign: float32 resolves the lower tail of the
    # distribution and not the upper one.
    low = 0.5 * tf.math.erfc(truncation / tf.sqrt(2.0))
    shape = tf.stack([tf.cast(count, tf.int32), latent_dim])
    uniform = tf.random.stateless_uniform(shape, seeds, 0.0, 1.0)
    quantile = tf.clip_by_value(low + (0.5 - low) * uniform, 1e-38, 0.5)
    sign = tf.random.stateless_uniform(shape, seeds + [0, 1], 0, 2, tf.int32)
    return tf.math.ndtri(quantile) * tf.cast(2 * sign - 1, tf.float32)


def generate(
    generator: Generator, batch_size: int | None = None
) -> Callable[..., dict[str, Any]]:
    """Returns a `tf.function`: latents (and labels) to images.

    Args:
        generator: the generator.
        batch_size: fixes the batch; None leaves it open. Defaults to None.
    """
    latents = tf.TensorSpec((batch_size, generator.latent_dim), tf.float32, "latents")
    if not generator.conditional:

        @tf.function(input_signature=[latents], autograph=False)
        def unconditional(latents: Any) -> dict[str, Any]:
            return {"images": tf.cast(generator(latents), tf.float32)}

        return unconditional

    labels = tf.TensorSpec((batch_size,), tf.int32, "labels")

    @tf.function(input_signature=[latents, labels], autograph=False)
    def conditional(latents: Any, labels: Any) -> dict[str, Any]:
        return {"images": tf.cast(generator(latents, labels), tf.float32)}

    return conditional


def sample(generator: Generator) -> Callable[..., dict[str, Any]]:
    """Returns a `tf.function`: count, seed, truncation (and labels) to uint8 images.

    `labels` hold one class for each image, or one for all, or nothing at all for
    classes drawn at random. The values that the graph's function has by default are
    in the signature too, where TensorFlow Serving finds them: a request need not give
    `seed` (0), `truncation` (none) and `labels` (random).

    Args:
        generator: the generator.
    """
    specs = [
        tf.TensorSpec((), tf.int32, "count"),
        tf.TensorSpec((), tf.int64, "seed"),
        tf.TensorSpec((), tf.float32, "truncation"),
    ]
    first = tf.constant(0, tf.int64)
    whole = tf.constant(NO_TRUNCATION)
    anything = tf.zeros([0], tf.int32)
    if not generator.conditional:

        @tf.function(input_signature=specs, autograph=False)
        def unconditional(
            count: Any, seed: Any = first, truncation: Any = whole
        ) -> dict[str, Any]:
            latents = draw_latents(count, generator.latent_dim, seed, truncation)
            images = generator(latents)
            return {"images": to_uint8(images, generator.output_range)}

        return unconditional

    specs.append(tf.TensorSpec((None,), tf.int32, "labels"))

    @tf.function(input_signature=specs, autograph=False)
    def conditional(
        count: Any, seed: Any = first, truncation: Any = whole, labels: Any = anything
    ) -> dict[str, Any]:
        latents = draw_latents(count, generator.latent_dim, seed, truncation)
        labels = _labels(count, seed, labels, generator.num_classes)
        images = generator(latents, labels)
        return {"images": to_uint8(images, generator.output_range)}

    return conditional


def describe(generator: Generator) -> dict[str, Any]:
    """Returns what the inputs and outputs of both signatures mean, for JSON."""
    height, width, channels = generator.image_shape
    images = f"(count, {height}, {width}, {channels})"
    last = (generator.num_classes or 0) - 1
    told = "[{:g}, {:g}]".format(*generator.output_range)
    serve = {"latents": f"float32 (count, {generator.latent_dim}), standard normal"}
    draw = {
        "count": "int32, 1 or more: number of images",
        "seed": "int64: the same seed gives the same images; 0 by default",
        "truncation": "float32, 0 or more: latents are drawn anew beyond ± this; "
        f"{NO_TRUNCATION:g} by default, which cuts nothing off",
    }
    if generator.conditional:
        serve["labels"] = f"int32 (count,): classes from 0 to {last}"
        draw["labels"] = (
            f"int32 (count,), (1,) or (0,): a class from 0 to {last} for each image, "
            "one for all, or none for classes drawn at random, the default"
        )
    return {
        "serving_default": {
            "inputs": serve,
            "outputs": {"images": f"float32 {images}, in {told}"},
        },
        "sample": {
            "inputs": draw,
            "outputs": {"images": f"uint8 {images}, {to_bytes(generator)}"},
        },
    }


def to_bytes(generator: Generator, name: str = "x") -> str:
    """Returns the formula by which images become bytes.

    Args:
        generator: the generator.
        name: of the images in it. Defaults to `x`.
    """
    low, high = generator.output_range
    return f"round(({name} - {low:g}) * 255 / {high - low:g}), clipped to [0, 255]"


def _labels(count: Any, seed: Any, labels: Any, num_classes: int | None) -> Any:
    seeds = tf.stack([tf.cast(seed, tf.int64), tf.constant(2, tf.int64)])
    drawn = tf.random.stateless_uniform([count], seeds, 0, num_classes, tf.int32)
    given = tf.size(labels)
    with tf.control_dependencies(
        [
            tf.debugging.Assert(
                (given == 0) | (given == 1) | (given == count),
                ["`labels` must have 0, 1 or `count` elements", given, count],
            ),
            tf.debugging.Assert(
                tf.reduce_all((labels >= 0) & (labels < num_classes)),
                [f"`labels` must be classes below {num_classes}", labels],
            ),
        ]
    ):
        several = tf.cond(
            given == 1, lambda: tf.fill([count], labels[0]), lambda: labels
        )
    return tf.cond(given == 0, lambda: drawn, lambda: several)

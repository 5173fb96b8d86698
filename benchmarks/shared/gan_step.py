"""The training steps that are measured: `training.GAN` on one fixed batch."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable
from typing import Any

from benchmarks.shared import machine

METHODS = ("vanilla", "wn", "sn", "sn-operator", "wgan-gp", "keras-sn")
PRECISIONS = ("float32", "mixed_bfloat16")
LATENT_DIM = 128
# Spectral normalization in its forms and what it is held against, by its name there.
COMPARED = {
    "no normalization": "vanilla",
    "sn_keras": "sn",
    "sn_keras, norm='operator'": "sn-operator",
    "keras wrapper": "keras-sn",
}


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step is made of.

    Attributes:
        network: a name in `training.networks.NETWORKS`.
        method: one of `METHODS`: no normalization, weight normalization, spectral
            normalization by the kernels' or the operators' norms, the gradient penalty
            without normalization, or spectral normalization by Keras' own wrapper.
        batch_size: real images in an update of D, as many generated ones, and images
            in the update of G.
        discriminator_steps: updates of D per update of G.
        precision: one of `PRECISIONS`, a Keras dtype policy.
        image_size: pixels a side.
        width: factor of all widths.
    """

    network: str = "cnn"
    method: str = "sn"
    batch_size: int = 64
    discriminator_steps: int = 1
    precision: str = "float32"
    image_size: int = 32
    width: float = 1.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return (self.image_size, self.image_size, 3)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Adds `--threads`.

    Args:
        parser: the command's.
    """
    parser.add_argument(
        "--threads",
        type=int,
        default=machine.cores(),
        metavar="N",
        help="threads of each framework (default: the cores, %(default)s)",
    )


def add_size(parser: argparse.ArgumentParser) -> None:
    """Adds `--image-size` and `--width`.

    Args:
        parser: the command's.
    """
    parser.add_argument(
        "--image-size", type=int, default=32, help="pixels a side (default: 32)"
    )
    parser.add_argument(
        "--width",
        type=float,
        default=1.0,
        help="factor of all widths, for a quick look (default: 1)",
    )


def set_threads(threads: int) -> None:
    """Sets TensorFlow's threads; to be called before TensorFlow has run anything.

    Args:
        threads: how many one operation may use, and how many operations may run.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    # Each step is traced by itself, which TensorFlow takes for a mistake.
    tf.get_logger().setLevel("ERROR")
    current = tf.config.threading
    wanted = (threads, threads)
    got = (
        current.get_intra_op_parallelism_threads(),
        current.get_inter_op_parallelism_threads(),
    )
    if threads == machine.cores():
        wanted = (0, 0)  # TensorFlow's own default, which means the same
    if got != wanted:
        current.set_intra_op_parallelism_threads(threads)
        current.set_inter_op_parallelism_threads(threads)


def networks(step: Step) -> tuple[Any, Any]:
    """Returns a new generator and discriminator.

    Args:
        step: what they are for.
    """
    from training import networks as by_name
    from training.networks import precision

    network = by_name.get(step.network)
    with precision.policy(step.precision):
        generator = network.generator(
            image_shape=step.image_shape,
            latent_dim=LATENT_DIM,
            width_multiplier=step.width,
        )
        discriminator = network.discriminator(
            image_shape=step.image_shape,
            normalizer=_normalizer(step.method),
            width_multiplier=step.width,
        )
    return generator, discriminator


def gan(step: Step) -> Any:
    """Returns a compiled `training.GAN`, setting C but for the updates of D.

    Args:
        step: what it is made of.
    """
    import keras

    from training import GAN

    generator, discriminator = networks(step)
    penalized = step.method == "wgan-gp"
    model = GAN(
        generator,
        discriminator,
        latent_dim=LATENT_DIM,
        discriminator_steps=step.discriminator_steps,
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4, 0.5, 0.999),
        discriminator_optimizer=keras.optimizers.Adam(2e-4, 0.5, 0.999),
        loss="wasserstein" if penalized else "hinge",
        gradient_penalty=10.0 if penalized else None,
    )
    return model


def real_images(step: Step) -> Any:
    """Returns the fixed real images of one step, uniform noise in [−1, 1].

    Args:
        step: says how many, and their shape.
    """
    import numpy as np

    count = step.batch_size * step.discriminator_steps
    shape = (count, *step.image_shape)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def runner(model: Any, step: Step) -> Callable[[], object]:
    """Returns a function that runs one step and waits for its losses.

    Args:
        model: what `gan` returned.
        step: what it was made for.
    """
    import tensorflow as tf

    images = tf.constant(real_images(step))
    return lambda: model.train_on_batch(images)


def trainable_parameters(model: Any) -> int:
    """Returns the number of trainable parameters.

    Args:
        model: a Keras model.
    """
    return sum(int(weight.numpy().size) for weight in model.trainable_weights)


def _normalizer(method: str) -> Any:
    import keras

    from training import normalizers

    if method == "keras-sn":
        return normalizers.Normalizer(
            "keras-sn",
            "the built-in wrapper",
            wrap=lambda layer: keras.layers.SpectralNormalization(
                layer, name=layer.name
            ),
        )
    if method == "sn-operator":
        from sn_keras import SpectralNormalization

        return normalizers.Normalizer(
            "sn-operator",
            "sn_keras, by the norms of the convolutions as operators",
            wrap=lambda layer: SpectralNormalization(
                layer, norm="operator", name=layer.name
            ),
        )
    names = {"sn": "spectral", "wn": "weight-norm"}
    return normalizers.get(names.get(method, "none"))

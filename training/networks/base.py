"""What a network is: a generator, a discriminator and the image sizes they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from training.deferred import keras


def unchecked(image_shape: tuple[int, int, int]) -> None:
    """Takes any shape: the network says what is wrong when it is made."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A pair of functions that make a generator and a discriminator.

    A run calls them by keyword: the generator with `image_shape`, `latent_dim`,
    `width_multiplier`, `num_classes` (None for no labels) and `synchronized` (of batch
    norm), the discriminator with `image_shape`, `normalizer`, `width_multiplier`,
    `num_classes` and `conditioning`, and with `last_width_multiplier` only where one
    is asked for.

    Attributes:
        name: the name in `training.networks.NETWORKS`.
        generator: makes the generator, a Functional model from `latents` (and
            `labels`) to `images` in [−1, 1].
        discriminator: makes the discriminator, a Functional model from `images` (and
            `labels`) to logits.
        image_sizes: the image sizes, as said in help and errors.
        description: one line for `--help`.
        check: raises a ValueError for an `image_shape` that the network doesn't take,
            without making it. By default, only the two functions do.
    """

    name: str
    generator: Callable[..., keras.Model]
    discriminator: Callable[..., keras.Model]
    image_sizes: str
    description: str
    check: Callable[[tuple[int, int, int]], object] = unchecked

"""What a network is: a generator, a discriminator and the image sizes they take."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from training import values
from training.deferred import keras


def unchecked(image_shape: tuple[int, int, int]) -> None:
    """Takes any shape: the network says what is wrong when it is made."""


def check_image_shape(
    image_shape: Any,
    network: str,
    sizes: Sequence[int],
    channels: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Returns the size and channels of a network's images.

    Args:
        image_shape: `(size, size, channels)`.
        network: the network's name.
        sizes: those that it takes.
        channels: likewise; None: any number.

    Raises:
        ValueError: if it doesn't take them; the message names the nearest sizes.
    """
    shape = tuple(image_shape)
    whole = all(isinstance(one, numbers.Integral) for one in shape)
    if len(shape) != 3 or not whole or shape[0] != shape[1]:
        raise ValueError(
            values.message("image_shape", "(size, size, channels)", image_shape)
        )
    size, depth = int(shape[0]), int(shape[2])
    if depth < 1 or (channels is not None and depth not in channels):
        known = "1 or more" if channels is None else " or ".join(map(str, channels))
        wanted = f"(size, size, channels) with {known} channels"
        raise ValueError(values.message("image_shape", wanted, image_shape))
    if size not in sizes:
        nearest = sorted(sorted(sizes, key=lambda one: abs(one - size))[:2])
        wanted = (
            f"a size that the network {network!r} takes, the nearest of which are "
            f"{nearest[0]} and {nearest[1]}"
        )
        raise ValueError(values.message("image_size", wanted, size))
    return size, depth


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

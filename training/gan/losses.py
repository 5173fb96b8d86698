"""The adversarial losses of the paper: standard, hinge, Wasserstein."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from training import values
from training.deferred import keras, ops


@dataclasses.dataclass(frozen=True)
class AdversarialLoss:
    """What D and G minimize, as functions of D's logits.

    Attributes:
        name: the name in `LOSSES`.
        description: one line for `--help`.
        discriminator: from the logits of real and of generated images, each of shape
            `(batch, 1)` (or maps of logits, as D returns them), to D's loss, a scalar.
        generator: from the logits of generated images to G's loss, a scalar.
    """

    name: str
    description: str
    discriminator: Callable[[Any, Any], Any]
    generator: Callable[[Any], Any]


def _standard_discriminator(real: Any, fake: Any) -> Any:
    # softplus(−x) = −log sigmoid(x), exact for any logit; log(sigmoid(x) + tiny) has
    # no gradient where D is sure of itself, which is where G needs one.
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


def _standard_generator(fake: Any) -> Any:
    return ops.mean(ops.softplus(-fake))


def _hinge_discriminator(real: Any, fake: Any) -> Any:
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


def _wasserstein_discriminator(real: Any, fake: Any) -> Any:
    return ops.mean(fake) - ops.mean(real)


def _minus_mean(fake: Any) -> Any:
    return -ops.mean(fake)


_ALL = (
    AdversarialLoss(
        "standard",
        "softplus(−D(x)) + softplus(D(G(z))); G, non-saturating: softplus(−D(G(z)))",
        _standard_discriminator,
        _standard_generator,
    ),
    AdversarialLoss(
        "hinge",
        "relu(1 − D(x)) + relu(1 + D(G(z))); G: −D(G(z))",
        _hinge_discriminator,
        _minus_mean,
    ),
    AdversarialLoss(
        "wasserstein",
        "D(G(z)) − D(x); G: −D(G(z)); needs a penalty or a normalizer",
        _wasserstein_discriminator,
        _minus_mean,
    ),
)

LOSSES: dict[str, AdversarialLoss] = {one.name: one for one in _ALL}


def get(loss: Any) -> AdversarialLoss:
    """Returns a loss by name, or of D's and G's functions; an `AdversarialLoss` as is.

    Raises:
        TypeError: if it is something else.
        ValueError: if there is none of that name; the message lists the known ones.
    """
    if isinstance(loss, AdversarialLoss):
        return loss
    if isinstance(loss, (tuple, list)) and len(loss) == 2 and all(map(callable, loss)):
        return AdversarialLoss("custom", "two functions", *loss)
    return LOSSES[values.name("loss", loss, sorted(LOSSES))]


def as_json(loss: AdversarialLoss) -> Any:
    """Returns what `from_json` makes the loss of again: its name or its functions.

    Functions can be read again if they are registered, by
    `keras.saving.register_keras_serializable`.
    """
    if LOSSES.get(loss.name) is loss:
        return loss.name
    functions = loss.discriminator, loss.generator
    return [keras.saving.serialize_keras_object(one) for one in functions]


def from_json(loss: Any) -> Any:
    """Returns what `compile` takes as `loss`."""
    if isinstance(loss, str):
        return loss
    return [keras.saving.deserialize_keras_object(one) for one in loss]


def scalar(network: str, loss: Any) -> Any:
    """Returns a network's loss, or raises a ValueError if it is no scalar tensor."""
    shape = getattr(loss, "shape", None)
    if getattr(shape, "rank", None) != 0:
        received = repr(loss) if shape is None else f"a loss of shape {tuple(shape)}"
        raise ValueError(
            f"`loss` of the {network} must be a scalar, such as a mean over the batch. "
            f"Received: {received}"
        )
    return loss

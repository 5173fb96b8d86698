"""The paper's networks, by name.

To add one, write a file beside this one that defines a `Network`, and name it in
`_ALL`.
"""

from __future__ import annotations

from training.networks import cnn, resnet
from training.networks.base import Network

_ALL: tuple[Network, ...] = (cnn.CNN, resnet.RESNET)

NETWORKS: dict[str, Network] = {one.name: one for one in _ALL}


def get(name: str) -> Network:
    """Returns the network of that name.

    Args:
        name: a key of `NETWORKS`.

    Raises:
        ValueError: if there is none; the message lists the known names.
    """
    if name not in NETWORKS:
        raise ValueError(
            f"`network` must be one of {sorted(NETWORKS)}. Received: network={name!r}"
        )
    return NETWORKS[name]


__all__ = ["NETWORKS", "Network", "get"]

"""The paper's networks, by name.

To add one, write a file beside this one that defines a `Network`, and name it here.
"""

from __future__ import annotations

from training import values
from training.networks.base import Network
from training.networks.cnn import CNN
from training.networks.resnet import RESNET

NETWORKS: dict[str, Network] = {one.name: one for one in (CNN, RESNET)}


def get(name: str) -> Network:
    """Returns the network of that name.

    Args:
        name: a key of `NETWORKS`.

    Raises:
        TypeError: if it is no string.
        ValueError: if there is none; the message lists the known names.
    """
    return NETWORKS[values.name("network", name, NETWORKS)]


__all__ = ["NETWORKS", "Network", "get"]

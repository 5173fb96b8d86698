"""The paper's networks, by name.

To add one, write a file beside this one that defines a `Network`, and name it in
`_FILES`.
"""

from __future__ import annotations

import importlib

from training.networks.base import Network

_FILES = ("cnn", "resnet")


def _defined_in(file: str) -> list[Network]:
    module = importlib.import_module(f"{__name__}.{file}")
    return [value for value in vars(module).values() if isinstance(value, Network)]


NETWORKS: dict[str, Network] = {
    one.name: one for file in _FILES for one in _defined_in(file)
}


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

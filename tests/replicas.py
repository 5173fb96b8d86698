"""Two replicas on the two logical CPUs of `conftest.py`."""

from __future__ import annotations

from typing import Any


def two_replicas() -> Any:
    """The one MirroredStrategy of this process; `devices.strategies` says why one."""
    from training.devices.strategies import create_strategy

    return create_strategy("mirrored")

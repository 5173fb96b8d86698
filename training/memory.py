"""The memory that this process may take, and what doesn't fit into it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from training import values


def available() -> int:
    """Returns the computer's or, if it is less, the container's memory in bytes."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        sizes.append(int(limit.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or none with a limit
        pass
    return min(sizes)


def check(argument: str, value: Any, needed: float) -> None:
    """Raises a ValueError if an argument asks for more memory than there is.

    Args:
        argument: its name.
        value: its value.
        needed: the least that it takes, in bytes.
    """
    there = available()
    if needed > there:
        wanted = (
            f"less: it takes {_size(needed)} of memory at least, and {_size(there)} "
            "are there"
        )
        raise ValueError(values.message(argument, wanted, value))


def _size(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"

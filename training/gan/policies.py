"""The names of differentiable augmentation's policies; no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from training import values

POLICIES = ("color", "translation", "cutout")


def names_of(policies: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the policies that a user names, in the order that they come in.

    Raises:
        TypeError: if it is neither a string nor a sequence of strings.
        ValueError: if one is unknown or there are none.
    """
    names = policies.split(",") if isinstance(policies, str) else policies
    if not isinstance(names, (list, tuple)) or not names:
        wanted = f"names among {list(POLICIES)}, joined by commas"
        raise TypeError(values.message("augmentation", wanted, policies))
    chosen = {
        values.name(
            "augmentation", name.strip() if isinstance(name, str) else name, POLICIES
        )
        for name in names
    }
    return tuple(name for name in POLICIES if name in chosen)

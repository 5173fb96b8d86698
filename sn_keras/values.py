"""Arguments checked: one function for a kind of value, and one form of message.

Each returns the value as a plain Python one, so that a NumPy scalar may stand wherever
a number may. What is of another kind is a TypeError; what is of the kind and out of
range, or no known name, a ValueError. `training` has the same in its own file, which
its command line reads without waiting for Keras.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def integer(
    argument: str, value: Any, minimum: int | None = 1, maximum: int | None = None
) -> int:
    """Returns an integer of `minimum` to `maximum`; a bool is none."""
    wanted = "an integer" if minimum is None else f"an integer of {minimum} or more"
    if maximum is not None:
        wanted = f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(message(argument, wanted, value))
    plain = int(value)
    too_small = minimum is not None and plain < minimum
    if too_small or (maximum is not None and plain > maximum):
        raise ValueError(message(argument, wanted, value))
    return plain


def number(
    argument: str,
    value: Any,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Returns a finite number, `minimum ≤ value ≤ maximum`, `above < value < below`."""
    wanted = f"a number {_interval(minimum, maximum, above, below)}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message(argument, wanted, value))
    plain = float(value)
    inside = minimum <= plain <= maximum and above < plain < below
    if not inside or not math.isfinite(plain):
        raise ValueError(message(argument, wanted, value))
    return plain


def boolean(argument: str, value: Any) -> bool:
    """Returns a bool; NumPy's is one too."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(message(argument, "a bool", value))
    return bool(value)


def name(argument: str, value: Any, known: Iterable[str]) -> str:
    """Returns a name that is known; the message lists them, the likeliest first."""
    names = list(known)
    wanted = f"one of {names}"
    if not isinstance(value, str):
        raise TypeError(message(argument, wanted, value))
    if value not in names:
        raise ValueError(message(argument, wanted, value) + meant(value, names))
    return value


def meant(value: str, known: Iterable[str]) -> str:
    """Returns what ends a message about an unknown name: the likeliest known one."""
    close = difflib.get_close_matches(value, list(known), 1)
    return f". Did you mean {close[0]!r}?" if close else ""


def names(argument: str, value: Any) -> tuple[str, ...]:
    """Returns one string or more; a string alone is no sequence of them."""
    return _several(argument, value, str, "a sequence of names")


def integers(argument: str, value: Any) -> tuple[int, ...]:
    """Returns one integer or more as plain ones; one alone needs no sequence."""
    if isinstance(value, numbers.Integral):
        return (integer(argument, value, minimum=None),)
    wanted = "an integer or a sequence of integers"
    found = _several(argument, value, numbers.Integral, wanted)
    return tuple(int(item) for item in found)


def sizes(argument: str, value: Any) -> int | tuple[int, ...]:
    """Returns an integer of 1 or more, or several of them."""
    if not isinstance(value, (list, tuple)):
        return integer(argument, value)
    return tuple(integer(argument, size) for size in integers(argument, value))


def message(argument: str, wanted: str, value: Any) -> str:
    """Returns the sentence that all errors about an argument have."""
    return f"`{argument}` must be {wanted}. Received: {argument}={value!r}"


def _several(argument: str, value: Any, kind: type, wanted: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(message(argument, wanted, value))
    if not all(isinstance(v, kind) and not isinstance(v, bool) for v in value):
        raise TypeError(message(argument, wanted, value))
    if not value:
        raise ValueError(message(argument, f"{wanted}, one or more", value))
    return tuple(value)


def _interval(minimum: float, maximum: float, above: float, below: float) -> str:
    low, left = (above, "(") if above >= minimum else (minimum, "[")
    high, right = (below, ")") if below <= maximum else (maximum, "]")
    if math.isinf(low) and math.isinf(high):
        return "that is finite"
    if math.isinf(high):
        return f"of {low:g} or more" if left == "[" else f"above {low:g}"
    if math.isinf(low):
        return f"of {high:g} or less" if right == "]" else f"below {high:g}"
    return f"in {left}{low:g}, {high:g}{right}"

"""Arguments checked: one function for a kind of value, and one form of message.

Each returns the value as a plain Python one, so that a NumPy scalar may stand wherever
a number may. What is of another kind is a TypeError; what is of the kind and out of
range, or no known name, a ValueError.
"""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def integer(
    argument: str, value: Any, minimum: int = 1, maximum: int | None = None
) -> int:
    """Returns an integer of `minimum` to `maximum`; a bool is none."""
    wanted = f"an integer of {minimum} or more"
    if maximum is not None:
        wanted = f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(message(argument, wanted, value))
    plain = int(value)
    if plain < minimum or (maximum is not None and plain > maximum):
        raise ValueError(message(argument, wanted, value))
    return plain


def integer_or_none(argument: str, value: Any) -> int | None:
    """Returns an integer of 1 or more, or None."""
    return None if value is None else integer(argument, value)


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
    # By its name, so that a command line needs no NumPy to refuse a typo.
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
        raise TypeError(message(argument, "a bool", value))
    return bool(value)


def name(argument: str, value: Any, known: Iterable[str]) -> str:
    """Returns a name that is known; the message lists them, the likeliest first."""
    names = list(known)
    wanted = f"one of {names}"
    if not isinstance(value, str):
        raise TypeError(message(argument, wanted, value))
    if value not in names:
        close = difflib.get_close_matches(value, names, 1)
        meant = f". Did you mean {close[0]!r}?" if close else ""
        raise ValueError(message(argument, wanted, value) + meant)
    return value


def path(argument: str, value: Any) -> Path:
    """Returns a path that is not empty and that a file system could have."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(message(argument, "a path", value))
    text = os.fspath(value)
    if not text or "\0" in str(text):
        raise ValueError(message(argument, "a path", value))
    return Path(value)


def message(argument: str, wanted: str, value: Any) -> str:
    """Returns the sentence that all errors about an argument have."""
    return f"`{argument}` must be {wanted}. Received: {argument}={value!r}"


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

"""A function in the place of a layer's or an optimizer's method, for a while."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Form(NamedTuple):
    """What takes the place of a method.

    Attributes:
        of: the layer or optimizer.
        method: the method's name.
        function: takes the method's arguments, the object first.
    """

    of: Any
    method: str
    function: Callable[..., Any]


@contextlib.contextmanager
def placed(forms: Iterable[Form]) -> Iterator[None]:
    """Lets objects run by their forms inside of `with`, as they are outside of it.

    An object that has another function in that place already keeps it.

    Args:
        forms: what takes whose place.
    """
    mine: list[Form] = []
    try:
        for form in forms:
            # Not by `setattr`, of which Keras and TensorFlow keep track.
            attributes = vars(form.of)
            if form.method not in attributes:
                attributes[form.method] = types.MethodType(form.function, form.of)
                mine.append(form)
        yield
    finally:
        for form in mine:
            del vars(form.of)[form.method]

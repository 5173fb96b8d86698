"""Where a layer with state can't be called in training, read off the call stack.

Rematerialisation runs a function a second time in the backward pass: `u` and `v` would
advance twice a step, and the gradient be that of another `σ` than the output's. JAX
traces the body of a loop once (that of `keras.layers.RNN` is one), and what is assigned
in there has no value outside. No backend says in its public interface that it is doing
either; the functions that do it are on the call stack.
"""

from __future__ import annotations

import sys
from types import FrameType

import keras

from sn_keras.substitution import Substitution

# Modules, and those of their functions that call the user's; all if none is named.
_REMATERIALIZATION: dict[str, tuple[str, ...]] = {
    "jax._src.ad_checkpoint": (),
    "tensorflow.python.ops.custom_gradient": ("inner", "inner_recompute_grad"),
    "torch.utils.checkpoint": (),
}
_JAX_LOOPS = "jax._src.lax.control_flow"


def refuse_repeated_call(layer: keras.layers.Layer) -> None:
    """Raises `ValueError` if a training call of `layer` is run again, or in a loop.

    Args:
        layer: the layer whose call is under way.
    """
    below: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        problem = _problem(frame, layer.name)
        if problem is not None:
            if not any(_holds_state_back(inner) for inner in below):
                raise ValueError(problem)
            return
        below.append(frame)
        frame = frame.f_back


def _problem(frame: FrameType, name: str) -> str | None:
    module = frame.f_globals.get("__name__", "")
    functions = _REMATERIALIZATION.get(module)
    if functions is not None and (not functions or frame.f_code.co_name in functions):
        return (
            f"The layer {name!r} can't be called with `training=True` inside of "
            "`keras.remat` or what the backend has for it: the second forward pass "
            "would advance its power iteration again, and the gradient be that of "
            "another norm. Call it with `training=False` in there, and its "
            "`iterate(1)` outside, once a step."
        )
    if module.startswith(_JAX_LOOPS):
        return (
            f"The layer {name!r} can't be called with `training=True` in a loop of "
            "JAX's, out of which its power iteration can't be kept. If it is part of "
            "the cell of a `keras.layers.RNN`, take it off there and wrap the RNN: "
            "`SpectralNormalization(keras.layers.RNN(cell))` normalizes all kernels "
            "of the cell, with one iteration a call."
        )
    return None


def _holds_state_back(frame: FrameType) -> bool:
    # In a scope that was opened inside of the loop, as `stateless_call` opens one, what
    # is assigned stays inside, and the loop's body hands it on.
    return any(
        isinstance(value, keras.StatelessScope) and not isinstance(value, Substitution)
        for value in frame.f_locals.values()
    )

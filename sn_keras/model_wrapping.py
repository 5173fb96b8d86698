"""Wrapping: a copy of a model with its layers in wrappers, the inverse of folding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import keras
import numpy as np
from keras.layers import Layer

from sn_keras import values
from sn_keras.copying import (
    Rebuilding,
    assign_weights,
    build_like,
    check_built,
    freeze_like,
    is_of_keras,
    without_state,
)
from sn_keras.keras_private import (
    build_shapes,
    flatten_layers,
    replace_sublayer,
    sublayers,
)
from sn_keras.kernels import NOT_KERNELS, find_kernels
from sn_keras.norm_division import NormDivision
from sn_keras.reparameterization import Reparameterization
from sn_keras.spectral_normalization import SpectralNormalization
from sn_keras.wrapping import check_layer

LayerOrModel = TypeVar("LayerOrModel", bound=Layer)
Where = Callable[[Layer], bool] | type | tuple[type, ...] | None

# `σ` has settled when ten iterations change it by less than float32 can tell from
# rounding; at most 1,000 iterations, for spectra whose first values hardly differ.
_ROUND, _ROUNDS, _SETTLED = 10, 100, 3e-7


def wrap(
    model: LayerOrModel,
    wrapper: Callable[[Layer], Reparameterization] = SpectralNormalization,
    where: Where = None,
) -> LayerOrModel:
    """Returns a copy of a model in which the chosen layers are wrapped.

    Each chosen layer with kernel `W` becomes `wrapper(layer)`, which runs it with
    `W / σ(W)`; the wrapper has the layer's name. The copy has the weights of `model`
    and shares none with it. `u` and `v` are iterated until `σ` has settled, so that
    inference right after is right, without a training call. Layers that are wrapped
    already stay as they are. The compile state (optimizer, loss) is not copied.

    Args:
        model: a built Sequential, Functional or subclassed model, or a layer. A
            subclassed one needs `get_config` and `from_config` that rebuild it. Layers
            that it creates in its own constructor are found, those that it creates in
            `build` can't be wrapped.
        wrapper: makes a wrapper of a layer: one of this package's classes, or a
            function, as to give arguments. Defaults to `SpectralNormalization`.
        where: class of the layers that are wrapped, a tuple of such, or a function
            from a layer to whether it is wrapped. It is asked of every layer with a
            kernel but models, whose layers it is asked of instead, and of nothing
            inside Keras' own layers: attention, recurrent layers and `TimeDistributed`
            are wrapped as a whole. Defaults to all layers that have a kernel.

    Returns:
        An object of the same class; for a layer, the wrapper.

    Raises:
        TypeError: if `model` is no layer, `wrapper` no function, `where` no function
            and no class, or what they return no wrapper and no bool.
        ValueError: if `model` is not built or not rebuilt by its config, if no layer
            is chosen, or if some that are can't be wrapped (quantised, with LoRA,
            without a known kernel, …): all of them are listed.

    Example:
    ```python
    classifier = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    normalized = wrap(classifier)
    convolutions = wrap(classifier, where=keras.layers.Conv2D)
    all_but_the_last = wrap(
        classifier, where=lambda layer: layer is not classifier.layers[-1]
    )
    ```
    """
    check_built(model, "wrapped")
    _check_function("wrapper", wrapper, "a function of a layer")
    wanted = "a class, a tuple of classes or a function of a layer"
    if not isinstance(where, tuple):
        _check_function("where", where or bool, wanted)
    elif not all(isinstance(one, type) for one in where):
        raise TypeError(values.message("where", wanted, where))
    chosen = _choose(model, where)
    wrapping = _Wrapping(chosen, wrapper)
    try:
        copy = Rebuilding(model, wrapping.factory).copy()
    except TypeError:  # in which Keras puts its own about the config around ours
        if wrapping.refused is not None:
            raise wrapping.refused from None
        raise
    if not isinstance(copy, Reparameterization):
        build_like(model, copy)
    wrapping.build_rest()
    made = list(wrapping.made.values())
    if len(made) < len(chosen):
        left = [layer for layer in chosen if id(layer) not in wrapping.made]
        reason = "created in `build`, or built in the constructor, of the layer around"
        raise _cannot(model, [(layer, reason) for layer in left])
    assign_weights(model, model.weights, copy, without_state(copy, made))
    copies = [layer for layer in flatten_layers(copy) if layer not in made]
    freeze_like(flatten_layers(model), copies)
    for one in made:
        converge(one)
        if isinstance(one, NormDivision):
            one.restart_gamma()  # it was built of a norm that had not settled
    return copy


def _check_function(argument: str, value: Any, wanted: str) -> None:
    # A wrapper that was made already is callable, on tensors.
    if not callable(value) or isinstance(value, Layer):
        raise TypeError(values.message(argument, wanted, value))


def _choose(model: Layer, where: Where) -> list[Layer]:
    chosen: dict[int, Layer] = {}
    inside: list[Layer] = [model]
    while inside:
        layer = inside.pop()
        if isinstance(layer, Reparameterization):
            continue
        if isinstance(layer, keras.Model):
            inside.extend(reversed(sublayers(layer)))
        elif _is_chosen(layer, where):
            chosen[id(layer)] = layer
        elif not is_of_keras(type(layer)):
            inside.extend(reversed(sublayers(layer)))
    if not chosen:
        nothing = "no layer has a kernel, other than in a wrapper,"
        what = nothing if where is None else "`where` chooses no layer"
        raise ValueError(f"There is nothing to wrap: {what} in `model` {model.name!r}.")
    problems = []
    for layer in chosen.values():
        try:
            check_layer(layer)
            find_kernels(layer)
        except ValueError as error:
            problems.append((layer, str(error)))
    if problems:
        raise _cannot(model, problems)
    return list(chosen.values())


def _is_chosen(layer: Layer, where: Where) -> bool:
    if where is None:
        return _has_own_kernel(layer)
    if not any(_has_own_kernel(one) for one in flatten_layers(layer)):
        return False
    if isinstance(where, (type, tuple)):
        return isinstance(layer, where)
    answer = where(layer)
    if not isinstance(answer, (bool, np.bool_)):
        raise TypeError(
            f"`where` must return a bool. Received: {answer!r} for {layer.name!r}"
        )
    return bool(answer)


def _has_own_kernel(layer: Layer) -> bool:
    """Whether a weight may be a kernel that no layer inside has, or wrapper there."""
    if isinstance(layer, keras.layers.Normalization):
        return False  # over two axes its mean looks like one
    inside = sublayers(layer)
    if is_of_keras(type(layer)):
        inside = [x for x in flatten_layers(layer) if isinstance(x, Reparameterization)]
    others = {id(weight) for one in inside for weight in one.weights}
    return any(
        len(weight.shape) >= 2
        and weight.name not in NOT_KERNELS
        and id(weight) not in others
        for weight in layer.weights
    )


def _cannot(model: Layer, problems: list[tuple[Layer, str]]) -> ValueError:
    lines = [f"- {x.name!r} ({type(x).__name__}): {reason}" for x, reason in problems]
    return ValueError(
        f"`model` {model.name!r} has layers that can't be wrapped. Leave them out by "
        "`where`, as in `where=lambda layer: layer.name not in (…)`:\n"
        + "\n".join(lines)
    )


class _Wrapping:
    """Takes the place of classes while a model is rebuilt from its config.

    Attributes:
        made: the new wrappers by the ids of the original layers.
        refused: what is wrong with what `wrapper` returned, None if nothing.
    """

    def __init__(self, chosen: list[Layer], wrapper: Callable[[Layer], Any]):
        self._chosen = {id(layer) for layer in chosen}
        self._wrapper = wrapper
        self.made: dict[int, Reparameterization] = {}
        self.refused: TypeError | None = None

    def factory(self, layer: Layer) -> _Factory | None:
        """Returns what stands for a layer's class, if it or a part is wrapped."""
        if id(layer) in self._chosen or not is_of_keras(type(layer)):
            return _Factory(self, layer)
        return None

    def wrapped(self, layer: Layer, copy: Layer) -> Layer:
        """Wraps a layer's copy, or what is inside of it."""
        if id(layer) not in self._chosen:
            self._wrap_inside(layer, copy)
            return copy
        if id(layer) not in self.made:
            build_like(layer, copy)
            # Before it is wrapped: γ starts as the norm of this kernel.
            copy.set_weights(layer.get_weights())
            wrapper = self._wrapper(copy)
            if not isinstance(wrapper, Reparameterization):
                self.refused = TypeError(
                    "`wrapper` must return a wrapper of `sn_keras`. Received: "
                    f"{wrapper!r} of class {type(wrapper).__name__}"
                )
                raise self.refused
            wrapper.name = layer.name
            if not layer.trainable:
                wrapper.trainable = False
            self.made[id(layer)] = wrapper
        return self.made[id(layer)]

    def build_rest(self) -> None:
        """Builds the wrappers that nothing around them has built."""
        for wrapper in self.made.values():
            if not wrapper.built:
                shapes = build_shapes(wrapper.layer) or {}
                wrapper.build(next(iter(shapes.values()), None))

    def _wrap_inside(self, layer: Layer, copy: Layer) -> None:
        if copy.built or isinstance(layer, Reparameterization):
            return
        for inner, inner_copy in zip(_parts(layer), _parts(copy), strict=False):
            if isinstance(inner_copy, Reparameterization) or type(inner) is not type(
                inner_copy
            ):
                continue
            wrapped = self.wrapped(inner, inner_copy)
            if wrapped is not inner_copy:
                replace_sublayer(copy, inner_copy, wrapped)


def _parts(layer: Layer) -> list[Layer]:
    # A built Sequential has an input layer and a graph besides.
    return layer.layers if isinstance(layer, keras.Model) else sublayers(layer)


class _Factory:
    """Makes a copy of one layer, as its class would of the config."""

    def __init__(self, wrapping: _Wrapping, layer: Layer):
        self._wrapping = wrapping
        self._layer = layer

    def from_config(self, config: dict[str, Any]) -> Layer:
        copy = type(self._layer).from_config(config)
        made = self._wrapping.wrapped(self._layer, copy)
        build_config = self._layer.get_build_config()
        if build_config and made is copy and not copy.built:
            made.build_from_config(build_config)
            made.built = True
        return made


def converge(wrapper: Reparameterization) -> None:
    """Iterates `u` and `v` until `σ` has settled."""
    if not isinstance(wrapper, SpectralNormalization):
        return
    before = [0.0]
    for _ in range(_ROUNDS):
        wrapper.iterate(_ROUND)
        sigmas = [float(x) for x in keras.tree.flatten(wrapper.sigma())]
        if all(
            abs(now - then) <= _SETTLED * now
            for now, then in zip(sigmas, before, strict=False)
        ):
            return
        before = sigmas

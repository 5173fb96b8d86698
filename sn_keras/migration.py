"""Migration: models and weights saved with other wrappers become this package's."""

from __future__ import annotations

import os
import warnings
from typing import Any

import keras
from keras import ops
from keras.layers import Layer

from sn_keras import values
from sn_keras.addons_files import (
    AddonsWeightNormalization,
    take_over_g,
    without_copies,
)
from sn_keras.copying import Rebuilding, assign_weights, build_like, check_built
from sn_keras.keras_private import build_shapes, flatten_layers
from sn_keras.kernels import find_kernels
from sn_keras.model_wrapping import converge
from sn_keras.reparameterization import Reparameterization
from sn_keras.saved_models import load_saved_model
from sn_keras.spectral_normalization import SpectralNormalization
from sn_keras.weight_normalization import WeightNormalization

# Addons' `SpectralNormalization` has the weights of Keras'.
_PEER = keras.layers.SpectralNormalization
_PEERS = (_PEER, AddonsWeightNormalization)
_OWN = (SpectralNormalization, WeightNormalization)


def migrate(
    source: keras.Model | str | os.PathLike[str], model: keras.Model | None = None
) -> keras.Model:
    """Makes a model of this package's wrappers of one that has Keras' or Addons'.

    `keras.layers.SpectralNormalization` of Keras 2 and 3 and TensorFlow Addons'
    `SpectralNormalization` become `SpectralNormalization`, with their weights. `u` is
    taken over where it belongs to the same matrix, and `v` and `u` are iterated until
    `σ` has settled. Addons' `WeightNormalization` becomes `WeightNormalization`, with
    its `g` as `γ` of `gamma=True`.

    What can't be known: the spectral wrappers overwrote the kernel with `W / σ(W)` at
    every training call, so that the scale of `W` is lost. In inference they run the
    kernel as it is, of norm 1 after a training call and not quite 1 after an
    optimizer's step; this package's run it with norm 1. A warning names the layers for
    which that changes the output by more than 1 %, and those of `WeightNormalization`
    whose `g` has no place or was never set. With `gamma=True` in `model` the outputs
    are kept: `γ` starts as the kernel's norm. To go on training, start the optimizer
    anew: its moments belong to another gradient.

    Args:
        source: a model that was loaded with such wrappers, or a file: a whole model of
            Keras 3 (`.keras`), or weights for `model` (that, `.weights.h5`, Keras 2's
            `.h5` of weights or of a whole model, or the folder of a SavedModel, which
            needs TensorFlow).
        model: for weights, the model with this package's wrappers in the places of
            the others, built. It is given the weights. For Addons'
            `WeightNormalization` of a recurrent layer, which is that of one kernel,
            wrap it with `kernels=["recurrent_kernel"]`.

    Returns:
        `model`, or the new model. The compile state is not copied.

    Raises:
        TypeError: if `source` is neither a model nor a path, or `model` no model.
        ValueError: if there is none of the wrappers, or the file doesn't fit `model`.

    Example:
    ```python
    theirs = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.SpectralNormalization(keras.layers.Dense(4)),
        ]
    )
    for _ in range(50):
        theirs(np.ones((2, 8)), training=True)
    ours = migrate(theirs)
    ```
    """
    pairs: list[tuple[Any, Any]] = []
    if model is not None:
        check_built(model, "given weights")
        peer = _rebuilt(model, _to_peer)
        if not isinstance(source, (str, os.PathLike)):
            message = values.message("source", "a file's path beside `model`", source)
            raise TypeError(message)
        _load_weights(peer, os.fspath(source))
        ours = model
        own = [layer for layer in flatten_layers(model) if type(layer) in _OWN]
        pairs.extend(zip(_peers_in(peer), own, strict=True))
    else:
        if isinstance(source, (str, os.PathLike)):
            if not os.fspath(source).endswith(".keras"):
                raise ValueError(
                    "`model` must be given for a file other than `.keras`, of which "
                    f"the weights alone are read. Received: source={str(source)!r}"
                )
            source = keras.models.load_model(source, compile=False)
        check_built(source, "migrated")
        peer = source
        _peers_in(peer)
        ours = _rebuilt(peer, lambda layer: _to_own(layer, pairs))
    _hand_over(peer, ours, pairs)
    return ours


def _load_weights(peer: keras.Model, path: str) -> None:
    try:
        if os.path.isdir(path):
            load_saved_model(peer, path)
        elif path.endswith((".weights.h5", ".keras")):
            peer.load_weights(path)
        else:
            with without_copies(path) as file:
                peer.load_weights(file)
    except ValueError as error:
        raise ValueError(
            "`source` does not hold weights of `model` with Keras' or TensorFlow "
            "Addons' wrappers in the places of this package's. Received: "
            f"source={path!r}. {error}"
        ) from error


def _peers_in(model: Layer) -> list[Layer]:
    found = [layer for layer in flatten_layers(model) if type(layer) in _PEERS]
    if not found:
        raise ValueError(
            f"{model.name!r} has none of the wrappers that can be migrated, Keras' "
            "`SpectralNormalization` (or, given as `model`, this package's in their "
            "places)."
        )
    return found


def _hand_over(peer: Layer, ours: Layer, pairs: list[tuple[Any, Any]]) -> None:
    wrapped = {id(w) for pair in pairs for layer in pair for w in layer.weights}
    assign_weights(peer, _others(peer, wrapped), ours, _others(ours, wrapped))
    changed, left, never = [], [], []
    for layer, wrapper in pairs:
        # Apart, as theirs have weights of the layer inside in another order.
        inner = wrapper.layer
        assign_weights(peer, layer.layer.weights, inner, inner.weights)
        if isinstance(layer, AddonsWeightNormalization):
            same, known = take_over_g(layer, wrapper)
            left.extend([] if same else [repr(wrapper.name)])
            never.extend([] if known else [repr(wrapper.name)])
            continue
        norm = _take_over_u(layer, wrapper)
        if abs(wrapper.scale(norm) - 1) > 0.01 and not wrapper.gamma:
            changed.append(f"{wrapper.name!r} ({float(norm):.3g})")
    for layers, message in zip((changed, left, never), _MESSAGES, strict=True):
        if layers:
            warnings.warn(message.format(", ".join(layers)), stacklevel=3)


_MESSAGES = (
    "These layers' kernels were not of the norm that they run with here when they were "
    "saved: {}. The wrappers ran inference with them as they were, and the model's "
    "outputs differ. To keep them, give `migrate` the file and a `model` whose "
    "wrappers have `gamma=True` there; or train on.",
    "These layers' `g` has no place without `gamma=True`: {}. The rows of their "
    "kernels run with norm 1, and the model's outputs differ.",
    "These layers were saved before their first call, which would have set `g`: {}. "
    "Here they start as the plain layers; there is no initialization from data.",
)


def _others(model: Layer, wrapped: set[int]) -> list[keras.Variable]:
    return [weight for weight in model.weights if id(weight) not in wrapped]


def _rebuilt(model: Layer, replace: Any) -> Layer:
    copy = Rebuilding(model, replace).copy()
    build_like(model, copy)
    return copy


class _Maker:
    """Stands for a class while a model is rebuilt."""

    def __init__(self, layer: Layer, make: Any):
        self._layer = layer
        self._make = make

    def from_config(self, config: dict[str, Any]) -> Layer:
        inner = keras.layers.deserialize(config["layer"])
        made = self._make(inner, config)
        made.name = self._layer.name
        shapes = build_shapes(self._layer) or {}
        made.build(next(iter(shapes.values()), None))
        return made


def _to_own(layer: Layer, pairs: list[tuple[Layer, Any]]) -> _Maker | None:
    def make(inner: Layer, config: dict[str, Any]) -> Reparameterization:
        made = SpectralNormalization(inner, config["power_iterations"])
        pairs.append((layer, made))
        return made

    return _Maker(layer, make) if type(layer) is _PEER else None


def _to_peer(layer: Layer) -> _Maker | None:
    if type(layer) is SpectralNormalization:
        return _Maker(
            layer, lambda inner, config: keras.layers.SpectralNormalization(inner)
        )
    if type(layer) is WeightNormalization:
        return _Maker(layer, lambda inner, config: AddonsWeightNormalization(inner))
    return None


def _take_over_u(layer: Any, wrapper: SpectralNormalization) -> Any:
    """Gives `u` to a wrapper and returns the norm of the kernel."""
    kernels = find_kernels(wrapper.layer)
    state = {weight.name: weight for weight in wrapper.state_variables}
    last = (len(kernels[0].shape) - 1,)
    u: Any = state.get("u")
    # Of an operator's norm `u` is an image, of several kernels it has other names.
    same = u is not None and tuple(u.shape) == (kernels[0].d_out,)
    if same and kernels[0].output_axes == last:
        u.assign(ops.reshape(layer.vector_u, u.shape))
    converge(wrapper)
    wrapper.restart_gamma()
    return wrapper.sigma()

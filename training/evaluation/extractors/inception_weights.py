"""Reads the published weights of the 2015 Inception network into the Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

EPSILON = 1e-3


def read_state(path: Path) -> dict[str, NDArray]:
    """Reads a state dictionary from a `.pth` (needs torch) or an `.npz` file.

    `numpy.savez(path, **state)` turns the first into the second, for machines without
    torch. Neither can run code: torch reads with `weights_only=True`, numpy without
    pickle.

    Raises:
        ImportError: if the file is a `.pth` and torch isn't installed.
        ValueError: if the file can't be read.
    """
    try:
        if path.suffix == ".npz":
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        try:
            import torch
        except ImportError as error:
            raise ImportError(
                f"Reading {path.name} needs torch: `pip install torch`, or convert the "
                "file elsewhere: numpy.savez('inception.npz', **{k: v.numpy() for k, v "
                f"in torch.load({path.name!r}, weights_only=True).items()}})"
            ) from error
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {key: value.numpy() for key, value in state.items()}
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"`path` must be the Inception weights as .pth or .npz. Received: {path}, "
            f"which can't be read ({error})"
        ) from error


def load_state(network: keras.Model, state: Mapping[str, NDArray]) -> None:
    """Sets the network's weights, batch normalisation folded into the convolutions.

    W' = W·γ/√(s² + ε),  b' = β − m·γ/√(s² + ε), computed in float64

    Raises:
        ValueError: if an entry is missing, left over, or has another shape.
    """
    left = {key for key in state if not key.endswith("num_batches_tracked")}

    def take(key: str) -> NDArray[np.float64]:
        if key not in state:
            raise ValueError(
                f"`state` must have the entry {key!r}. Received: {len(state)} entries, "
                f"such as {sorted(state)[:3]}"
            )
        left.discard(key)
        return np.asarray(state[key], np.float64)

    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            scale = take(f"{layer.name}.bn.weight") / np.sqrt(
                take(f"{layer.name}.bn.running_var") + EPSILON
            )
            shift = take(f"{layer.name}.bn.running_mean") * scale
            kernel = take(f"{layer.name}.conv.weight").transpose(2, 3, 1, 0) * scale
            _assign(layer, [kernel, take(f"{layer.name}.bn.bias") - shift])
        elif isinstance(layer, keras.layers.Dense):
            _assign(layer, [take(f"{layer.name}.weight").T])
    # The reference's logits leave the bias out.
    left.discard("fc.bias")
    if left:
        raise ValueError(
            "`state` must hold the 2015 Inception network and nothing else. Received: "
            f"{len(left)} entries that it doesn't have, such as {sorted(left)[:3]}"
        )


def _assign(layer: keras.Layer, values: list[NDArray]) -> None:
    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [value.shape for value in values]
    if expected != received:
        raise ValueError(
            f"`state` must fit the layer {layer.name!r}, shapes {expected}. "
            f"Received: {received}"
        )
    layer.set_weights(values)

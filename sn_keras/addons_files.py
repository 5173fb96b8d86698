"""What the files of TensorFlow Addons' `WeightNormalization` hold, and how it is read.

It runs a layer with `g · v / ‖v‖`, the norm over all axes of the kernel `v` but the
last. Its files have `g`, `v`, the layer's other weights, whether `g` was `initialized`,
and with `data_init=True` a copy of the layer that nothing needs after the first call.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from sn_keras.kernels import find_kernels
from sn_keras.weight_normalization import WeightNormalization

# How Addons names what is in the copy: in the names of Keras 2's `.h5` weights, and as
# an attribute in a SavedModel.
_COPY_IN_H5 = "/data_dep_init/"
COPY_IN_SAVED_MODEL = "/_naked_clone_layer/"
# Below its square root `tf.nn.l2_normalize` divides by that instead.
_EPSILON = 1e-12


class AddonsWeightNormalization(keras.layers.Wrapper):
    """Has the weights of Addons' wrapper in the order of its files; it can't be run."""

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        if isinstance(self.layer, keras.layers.RNN):
            kernel = getattr(self.layer.cell, "recurrent_kernel", None)
        else:
            kernel = getattr(self.layer, "kernel", None)
        if kernel is None:
            raise ValueError(
                "TensorFlow Addons' `WeightNormalization` has no form for the layer "
                f"{self.layer.name!r} of class {type(self.layer).__name__}."
            )
        self.g = self.add_weight(shape=(kernel.shape[-1],), name="g")
        self.v = kernel
        self.initialized = self.add_weight(
            shape=(), name="initialized", dtype="bool", initializer="zeros"
        )
        self.initialized.trainable = False
        self.built = True


@contextlib.contextmanager
def without_copies(path: str) -> Iterator[str]:
    """Yields a `.h5` file of Keras 2 that names no weights of `data_init`'s copies.

    It is `path` itself if there are none.
    """
    import h5py

    with h5py.File(path, "r") as file:
        names = _with_copies(file)
    if not names:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy.h5")
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            for group, attribute, kept in names:
                file[group].attrs[attribute] = kept
        yield copy


def _with_copies(file: Any) -> list[tuple[str, str, list[bytes]]]:
    """Returns the groups and attributes that name copies, and what else they name."""
    found = []
    groups = [file.get("model_weights", file)]
    groups += [group for group in groups[0].values() if hasattr(group, "attrs")]
    for group in groups:
        for attribute, value in group.attrs.items():
            # Keras writes `weight_names`, or parts `weight_names0`, … of long ones.
            if attribute.startswith("weight_names"):
                names = [os.fsencode(name) for name in value]
                kept = [name for name in names if _COPY_IN_H5.encode() not in name]
                if len(kept) < len(names):
                    found.append((group.name, attribute, kept))
    return found


def take_over_g(
    layer: AddonsWeightNormalization, wrapper: WeightNormalization
) -> tuple[bool, bool]:
    """Gives `g` and `v` to a wrapper that has the layer's other weights.

    Returns:
        Whether the outputs stay what they were, and whether `g` was there.
    """
    v = ops.convert_to_numpy(layer.v.value).astype("float64")
    squares = np.sum(v**2, axis=tuple(range(v.ndim - 1)))
    length = np.sqrt(np.maximum(squares, _EPSILON))
    known = bool(ops.convert_to_numpy(layer.initialized.value))
    # Without data, the first call of theirs sets `g` to the length too.
    g = ops.convert_to_numpy(layer.g.value) if known else length
    place = [id(weight) for weight in layer.layer.weights].index(id(layer.v))
    target = wrapper.layer.weights[place]
    target.assign(v / length * g)
    gammas = wrapper.state_variables
    same = True
    for index, kernel in enumerate(find_kernels(wrapper.layer, wrapper.kernels)):
        norms = wrapper.kernel_norm(index, kernel, kernel.variable.value, False)
        if not wrapper.gamma:
            same = same and bool(ops.all(ops.abs(norms - 1) < 0.01))
        elif kernel.variable is target and kernel.output_axes == (v.ndim - 1,):
            target.assign(v)
            gammas[index].assign(g)
        else:
            gammas[index].assign(norms)
    return same, known

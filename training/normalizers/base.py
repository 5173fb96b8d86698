"""What a normalizer is: all that a method of the paper changes about D's layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from training.deferred import keras


def unchanged(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns the layer as it is."""
    return layer


@dataclasses.dataclass(frozen=True)
class Normalizer:
    """One of the methods that the paper compares, as a change to D's layers.

    A network asks it for every layer of D that has a kernel (`apply`, and
    `apply_embedding` for label embeddings) and puts `between()` between such a layer
    and its activation, but not after the first one nor after the last.

    Attributes:
        name: the name in `training.normalizers.NORMALIZERS`.
        description: one line for `--help`.
        wrap: what to wrap each layer with a kernel in; nothing by default.
        wrap_embedding: the same for label embeddings.
        layer_kwargs: keyword arguments for convolutions and dense layers, such as
            `kernel_regularizer`. The values are functions that make the object:
            layers don't share one.
        embedding_kwargs: the same for label embeddings.
        convolutions_only: whether `layer_kwargs` are left out for dense layers.
        between: makes the layer that goes between layer and activation, or None.
        bounds: whether it keeps D from getting steeper and steeper. The Wasserstein
            loss has no minimum without that, or a gradient penalty.
    """

    name: str
    description: str
    wrap: Callable[[keras.layers.Layer], keras.layers.Layer] = unchanged
    wrap_embedding: Callable[[keras.layers.Layer], keras.layers.Layer] = unchanged
    layer_kwargs: Mapping[str, Callable[[], Any]] = dataclasses.field(
        default_factory=dict
    )
    embedding_kwargs: Mapping[str, Callable[[], Any]] = dataclasses.field(
        default_factory=dict
    )
    convolutions_only: bool = False
    between: Callable[[], keras.layers.Layer] | None = None
    bounds: bool = True

    def apply(
        self, layer_class: type[keras.layers.Layer], *args: Any, **kwargs: Any
    ) -> keras.layers.Layer:
        """Creates a convolution or dense layer with this normalizer's change.

        Args:
            layer_class: such as `keras.layers.Conv2D`.
            *args: its positional arguments.
            **kwargs: its keyword arguments; `layer_kwargs` take precedence.

        Returns:
            The layer, wrapped if the normalizer wraps.
        """
        if not (self.convolutions_only and issubclass(layer_class, keras.layers.Dense)):
            made = {key: make() for key, make in self.layer_kwargs.items()}
            kwargs = {**kwargs, **made}
        return self.wrap(layer_class(*args, **kwargs))

    def apply_embedding(self, *args: Any, **kwargs: Any) -> keras.layers.Layer:
        """Creates a `keras.layers.Embedding` with this normalizer's change.

        Args:
            *args: its positional arguments.
            **kwargs: its keyword arguments; `embedding_kwargs` take precedence.

        Returns:
            The layer, wrapped if the normalizer wraps.
        """
        made = {key: make() for key, make in self.embedding_kwargs.items()}
        layer = keras.layers.Embedding(*args, **{**kwargs, **made})
        return self.wrap_embedding(layer)

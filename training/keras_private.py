"""Names of Keras and TensorFlow that aren't public, each behind one function.

Keras 3.15.1, TensorFlow 2.21.0. No other file of `training` uses such a name. Beside
each stands what it is for and why nothing public does it.
"""

from __future__ import annotations

from typing import Any

import keras


def flatten_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns all layers of a model, those within others too, itself first.

    `model.layers` has the outermost ones only, and wrappers and composite layers hold
    others under names of their own.
    """
    return list(model._flatten_layers())


def updates(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """Returns the number of updates that an optimizer was given gradients for.

    Its `iterations` are fewer with `gradient_accumulation_steps`: no variable then,
    and the same for all micro-batches of an update.
    """
    return inner(optimizer)._iterations


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns the optimizer within a `LossScaleOptimizer`, or the one given."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def averages(
    optimizer: keras.optimizers.Optimizer,
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Returns each weight of an optimizer with `use_ema`, and its moving average.

    Keras can only write the averages over the weights themselves
    (`finalize_variable_values`).
    """
    averaging = inner(optimizer)
    return list(
        zip(
            averaging._trainable_variables,
            averaging._model_variables_moving_average,
            strict=True,
        )
    )


def adam_moments(
    optimizer: keras.optimizers.Adam, weight: Any
) -> tuple[keras.Variable, keras.Variable]:
    """Returns Adam's two averages of a weight.

    `variables` has them too, in an order that nothing says.
    """
    index = optimizer._get_variable_index(weight)
    return optimizer._momentums[index], optimizer._velocities[index]


class BuiltModel(keras.Model):
    """A model whose layers are built before `fit`, which then doesn't look for shapes.

    Keras would take a batch for that and average it over the replicas, for which
    TensorFlow has no way in several workers when a batch is `(images, labels)`. No
    public argument leaves that out.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None):
        pass


def registered_gradients() -> dict[str, Any]:
    """Returns TensorFlow's registry of gradients itself, by name.

    Nothing public takes an entry out, and each holds the graph that it is of.
    """
    from tensorflow.python.framework import ops

    return ops.gradient_registry._registry

"""Private names of Keras stand in one file, and give what they are said to."""

import pathlib
import re

import keras
import numpy as np
import pytest

import training
from training import keras_private

FOLDER = pathlib.Path(training.__file__).parent
# Attributes of others with an underscore; `super()._x` and `self._x` are one's own.
FOREIGN = re.compile(r"(?<!\bself)(?<!\bcls)(?<!super\(\))\._(?!_)\w+")
# Of the standard library.
PUBLIC = {"._asdict", "._replace", "._ActionsContainer", "._fill_text"}


def test_no_other_file_uses_private_names():
    found = {
        (path.name, name)
        for path in FOLDER.rglob("*.py")
        if path.name != "keras_private.py"
        for name in FOREIGN.findall(path.read_text(encoding="utf-8"))
        if name not in PUBLIC
    }
    assert found == set()


def built(optimizer):
    weight = keras.Variable(np.ones(3, "float32"), name="weight")
    optimizer.build([weight])
    return optimizer, weight


@pytest.mark.parametrize("wrap", [lambda x: x, keras.optimizers.LossScaleOptimizer])
def test_averages_are_those_of_the_weights(wrap):
    optimizer, weight = built(
        wrap(keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75))
    )
    scale = optimizer.scale_loss(1.0)
    for _ in range(2):
        optimizer.apply([np.full(3, 2.0 * scale, "float32")], [weight])
    ((found, average),) = keras_private.averages(optimizer)
    assert found is weight
    # Keras starts the average at the weights after the first step.
    np.testing.assert_allclose(average.numpy(), 0.75 * -1 + 0.25 * -3)
    assert int(keras_private.updates(optimizer)) == 2


def test_updates_count_micro_batches():
    optimizer, weight = built(keras.optimizers.SGD(1.0, gradient_accumulation_steps=2))
    for _ in range(3):
        optimizer.apply([np.ones(3, "float32")], [weight])
    assert int(keras_private.updates(optimizer)) == 3
    assert int(optimizer.iterations) == 1


def test_layers_within_layers():
    inner = keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.TimeDistributed(inner)])
    assert inner in keras_private.flatten_layers(model)

import keras
import pytest

from benchmarks.shared import floor, gan_step


def test_operations_of_layers_by_hand():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(5, 3, padding="same")(inputs)
    x = keras.layers.Conv2D(7, 4, strides=2, padding="same")(x)
    x = keras.layers.Conv2DTranspose(6, 4, strides=2, padding="same")(x)
    x = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    expected = 2 * (
        8 * 8 * 5 * (3 * 3 * 3)
        + 4 * 4 * 7 * (4 * 4 * 5)
        + 4 * 4 * 7 * (4 * 4 * 6)
        + (8 * 8 * 6) * 2
    )
    assert floor.forward_operations(keras.Model(inputs, x)) == expected


def test_operations_of_the_standard_step():
    # 164 GFLOP: the figure that the speed of this step was first judged by.
    step = gan_step.Step(batch_size=64)
    assert floor.step_operations(step) == pytest.approx(164.3e9, rel=1e-3)


@pytest.mark.slow
def test_operations_grow_with_the_updates_of_d_and_the_penalty():
    def of(**fields):
        return floor.step_operations(gan_step.Step(width=0.125, batch_size=4, **fields))

    once, twice = of(), of(discriminator_steps=2)
    assert of(discriminator_steps=3) - twice == twice - once > 0
    assert of(method="sn") == of(method="vanilla") == once
    assert of(method="wgan-gp") > once


def test_rate_and_share_are_those_of_each_round():
    assert floor.matrix_product("float32", size=4)() > 0
    size = 2 * 2048**3
    assert floor.rate([1.0, 2.0, 4.0]).median == pytest.approx(size / 2e9)
    # The machine is half as fast in the second round, for the step as for the product.
    found = floor.share([3.0, 6.0], [1.0, 2.0], operations=size)
    assert found.low == found.high == pytest.approx(1 / 3)


def test_the_dtype_of_a_policy():
    assert floor.compute_dtype("float32") == "float32"
    assert floor.compute_dtype("mixed_bfloat16") == "bfloat16"

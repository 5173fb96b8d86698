"""What a step draws at random."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from training.gan import draws


def test_latents_are_standard_normal():
    z = draws.latents(draws.At(3, 17, 2), 500, 129).numpy()
    assert z.shape == (500, 129)
    assert scipy.stats.kstest(z.ravel(), "norm").pvalue > 0.01
    neighbours = np.corrcoef(z[:, 0], z[:, 1])[0, 1]
    assert abs(neighbours) < 0.15


@pytest.mark.parametrize("draw", [draws.latents, draws.labels])
def test_seed_step_and_update_each_make_another_draw(draw):
    times = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -1, 0)]
    made = {draw(draws.At(*time), 50, 9).numpy().tobytes() for time in times}
    assert len(made) == len(times)
    again = draw(draws.At(0, tf.constant(1), 0), 50, 9).numpy()
    np.testing.assert_array_equal(draw(draws.At(0, 1, 0), 50, 9), again)


@pytest.mark.slow
def test_xla_draws_the_same():
    def draw(step):
        at = draws.At(2**31 - 1, step, 3)
        return draws.latents(at, 7, 5), draws.labels(at, 7, 3), draws.mix(at, 7)

    step = tf.constant(5)
    for a, b in zip(draw(step), tf.function(draw, jit_compile=True)(step), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_labels_are_uniform_and_mixes_lie_between_0_and_1():
    labels = draws.labels(draws.At(0, 0, 0), 3000, 3).numpy()
    assert scipy.stats.chisquare(np.bincount(labels)).pvalue > 0.01
    mix = draws.mix(draws.At(0, 0, 0), 1000).numpy()
    assert mix.shape == (1000, 1, 1, 1)
    assert scipy.stats.kstest(mix.ravel(), "uniform").pvalue > 0.01


def test_blocks_of_rows_deal_what_the_whole_deals():
    rows = tf.range(24)
    for hand in range(3):
        whole = draws.dealt(rows, 3, hand)
        halves = [draws.dealt(half, 3, hand) for half in tf.split(rows, 2)]
        np.testing.assert_array_equal(tf.concat(halves, 0), whole)
        np.testing.assert_array_equal(whole, np.arange(24)[hand::3])


def test_augmentations_have_draws_of_their_own():
    ats = [draws.At(4, step, update) for step in range(3) for update in range(3)]
    made = [
        draws.uniform(draws.of_images(at, real), 50, 2)
        for at in ats
        for real in (False, True)
    ]
    assert scipy.stats.kstest(np.ravel(made), "uniform").pvalue > 0.01
    made += [draws.uniform(at, 50, 2) for at in [*ats, draws.samples(4)]]
    assert len({numbers.numpy().tobytes() for numbers in made}) == len(made)

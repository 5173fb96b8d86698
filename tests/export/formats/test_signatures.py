"""Sampling inside the exported graph."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from export.formats import signatures
from export.reading import loading


def test_uint8_is_rounded_and_clipped():
    x = np.array([-1.5, -1, -1 + 1 / 127.5, 0.002, 1, 1.5], "float32")
    assert signatures.to_uint8(x).numpy().tolist() == [0, 0, 1, 128, 255, 255]


@pytest.mark.parametrize("truncation", [0.3, 1.0, 100.0])
def test_latents_follow_the_truncated_normal_distribution(truncation):
    z = signatures.draw_latents(500, 64, 3, truncation).numpy().ravel()
    cut = min(truncation, signatures.NO_TRUNCATION)
    assert np.isfinite(z).all() and abs(z).max() <= cut * (1 + 1e-5)
    exact = scipy.stats.truncnorm(-cut, cut)
    assert scipy.stats.kstest(z, exact.cdf).pvalue > 1e-3


def test_latents_are_a_function_of_the_seed():
    first, again, other = (
        signatures.draw_latents(4, 8, seed, 8.0).numpy() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    assert (signatures.draw_latents(4, 8, 1, 0.0).numpy() == 0).all()


def test_bad_arguments_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="truncation"):
        signatures.draw_latents(4, 8, 1, -1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="count"):
        signatures.draw_latents(0, 8, 1, 1.0)


@pytest.mark.slow
def test_labels_are_given_for_each_for_all_or_drawn(small_resnet):
    generator = loading.load(small_resnet)
    sample = signatures.sample(generator)

    def images(labels):
        labels = tf.constant(labels, tf.int32)
        return sample(6, 5, 8.0, labels)["images"].numpy()

    np.testing.assert_array_equal(images([2]), images([2] * 6))
    assert (images([2]) != images([1])).any()
    drawn = images([])
    each = np.stack([images([label]) for label in range(3)])
    assert all((drawn[i] == each[:, i]).all(axis=(1, 2, 3)).any() for i in range(6))
    for bad in ([0, 1], [-1], [3], [0, 1, 2, 0, 1, -1]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="`labels` must"):
            images(bad)

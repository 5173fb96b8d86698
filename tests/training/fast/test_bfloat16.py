"""Whether bfloat16 is fast on this machine."""

import pytest
import tensorflow as tf

from training.fast import bfloat16


@pytest.mark.parametrize(("seconds", "faster"), [(0.5, True), (0.9, False), (2, False)])
def test_bfloat16_must_be_clearly_faster(seconds, faster, monkeypatch):
    by_type = {tf.float32: 1.0, tf.bfloat16: seconds}
    monkeypatch.setattr(bfloat16, "_timed", lambda _, matrix: by_type[matrix.dtype])
    assert bfloat16.bfloat16_is_faster(size=8) is faster


def test_a_trial_runs():
    assert bfloat16.bfloat16_is_faster(size=64, rounds=2) in (True, False)

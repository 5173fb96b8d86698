"""The reference's scores, and a strategy with two replicas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def reference():
    """What torch-fidelity 0.4 and prdc 0.2 made of the inputs in `formulas`."""
    path = Path(__file__).parent / "fixtures" / "reference.json"
    return json.loads(path.read_text())


@pytest.fixture
def two_replicas():
    """A MirroredStrategy over two logical CPUs."""
    devices = tf.config.list_logical_devices("CPU")
    # Without collectives: TensorFlow numbers them from 100 for each strategy, and a
    # gather here would get the number of another test's reduction in this process.
    # `test_workers` gathers by collectives, in processes of its own.
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices[:2]],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )

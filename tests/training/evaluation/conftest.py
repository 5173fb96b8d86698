"""The reference's scores, and a strategy with two replicas."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import tensorflow as tf

# Must come before TensorFlow's devices are first used.
with contextlib.suppress(RuntimeError):
    if (
        len(
            tf.config.get_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0]
            )
            or []
        )
        < 2
    ):
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )


@pytest.fixture(scope="session")
def reference():
    """What torch-fidelity 0.4 and prdc 0.2 made of the inputs in `formulas`."""
    path = Path(__file__).parent / "fixtures" / "reference.json"
    return json.loads(path.read_text())


@pytest.fixture
def two_replicas():
    """A MirroredStrategy over two logical CPUs."""
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        pytest.skip("TensorFlow was set up with one logical CPU before this test")
    return tf.distribute.MirroredStrategy([device.name for device in devices[:2]])

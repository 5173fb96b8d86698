"""What every test relies on: quiet TensorFlow, no display, two devices, seeds."""

from __future__ import annotations

import gc
import os
import signal

# Read by TensorFlow, JAX and matplotlib at their import, hence before anything else.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the commands do
# XLA compiles what a test calls (JAX each operation) for a few calls of small arrays.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import keras
import pytest

# A runner in the background, or under nohup, ignores them and hands that on to the
# processes that tests send them to.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # tf.distribute needs two devices to show anything, and they can't be made any
    # more once an operation has run: some test modules run one when imported.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


# What is imported stays, and graphs are made of many objects that are soon gone: the
# collector would look at them again and again.
gc.freeze()
gc.set_threshold(20_000, 50, 50)


@pytest.fixture(autouse=True)
def _seeded():
    """A test's weights don't depend on which tests ran before it."""
    keras.utils.set_random_seed(20180216)

"""What every test relies on: quiet TensorFlow, no display, seeded global generators."""

from __future__ import annotations

import os

# Read by TensorFlow and matplotlib at their import, hence before anything else.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import pytest


@pytest.fixture(autouse=True)
def _seeded():
    """A test's weights don't depend on which tests ran before it."""
    keras.utils.set_random_seed(20180216)

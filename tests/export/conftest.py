"""Generators shared by the tests of export."""

from __future__ import annotations

import pytest

from tests.export import networks


@pytest.fixture(scope="session")
def small_cnn():
    """The standard CNN at an eighth of its width."""
    return networks.cnn(width=1 / 8)


@pytest.fixture(scope="session")
def small_resnet():
    """A conditional residual generator for 16 px, 3 classes, 16-d latents."""
    return networks.conditional_resnet()

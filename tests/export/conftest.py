"""Generators and exports shared by the tests of export."""

from __future__ import annotations

import json

import pytest

from export.__main__ import main
from export.formats.names import PRECISIONS
from tests.export import networks


@pytest.fixture(scope="session")
def small_cnn():
    """The standard CNN at an eighth of its width."""
    return networks.cnn(width=1 / 8)


@pytest.fixture(scope="session")
def small_resnet():
    """A conditional residual generator for 16 px, 3 classes, 16-d latents."""
    return networks.conditional_resnet()


@pytest.fixture(scope="session")
def tiny_resnet():
    """The same for 8 px."""
    return networks.conditional_resnet(size=8)


@pytest.fixture(scope="session")
def run(tiny_resnet, tmp_path_factory):
    """A run's folder with `tiny_resnet`. Not to be changed."""
    folder = tmp_path_factory.mktemp("run")
    tiny_resnet.save(folder / "generator.keras")
    told = {"generator": {"num_classes": 3, "class_names": ["cat", "dog", "hen"]}}
    (folder / "config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory):
    """The same run, exported in all precisions by the command. Not to be changed."""
    folder = tmp_path_factory.mktemp("exported") / "out"
    status = main(
        [str(run), "--output", str(folder), "--format", "saved_model", "litert"]
        + ["--precision", *PRECISIONS, "--batch-sizes", "1", "2"]
        + ["--min-psnr", "20"]
    )
    assert status == 0
    return folder

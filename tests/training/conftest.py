"""Small runs that several modules look at."""

import pytest

from tests.training import toy_runs
from training import networks


@pytest.fixture(scope="session")
def _toy_network():
    networks.NETWORKS["toy"] = networks.Network(
        "toy", toy_runs.toy_generator, toy_runs.toy_discriminator, "4 px", ""
    )
    yield
    del networks.NETWORKS["toy"]


@pytest.fixture(scope="session")
def source(_toy_network):
    return toy_runs.noise()


@pytest.fixture(scope="session")
def finished(tmp_path_factory, source):
    """The folder of a run that nothing happened to."""
    path = tmp_path_factory.mktemp("whole") / "run"
    result = toy_runs.fit(path, source)
    assert (result.step, result.finished, result.exit_code) == (7, True, 0)
    return path

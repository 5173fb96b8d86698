"""Figures 3 and 9 against NumPy's decomposition of what the runs have saved."""

import numpy as np
import pytest

from sn_keras import SpectralNormalization
from training.data import load
from training.experiments.singular_values import restored
from training.runs import fit
from training.runs.preset import Preset
from training.storage.folder import RunFolder

KERNEL = (3, 3, 1, 4)


def saved(run):
    """The arrays of a run's newest checkpoint."""
    newest = max((run / "checkpoints").glob("step-*.npz"))
    with np.load(newest) as archive:
        return {name: archive[name] for name in archive.files if name != "metadata"}


def convolution(run):
    """The convolution's kernel as a matrix, d_out × d_in."""
    (kernel,) = (
        values
        for name, values in saved(run).items()
        if name.startswith("discriminator/") and values.shape == KERNEL
    )
    return kernel.reshape(-1, KERNEL[-1]).T.astype(np.float64)


@pytest.mark.slow
def test_singular_values_are_those_of_the_saved_kernels(experiment, tmp_path, capsys):
    methods = ["weight-clipping", "weight-norm", "spectral"]
    options = ["--steps", "4", "--methods", *methods]
    found = experiment("singular-values", *options, scored=False)
    rows = {row["method"]: row for row in found["rows"]}
    assert list(rows) == methods and {row["layer"] for row in rows.values()} == {"conv"}
    for method, row in rows.items():
        matrix = convolution(tmp_path / "out" / row["run"])
        if method == "weight-clipping":
            assert np.abs(matrix).max() <= 0.01
        if method == "weight-norm":
            matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        expected = np.linalg.svd(matrix, compute_uv=False)
        values = np.array(row["singular_values"])
        if method == "spectral":  # but for σ, which the layer estimates
            expected, values = expected / expected[0], values / values[0]
        np.testing.assert_allclose(values, expected, rtol=1e-5)
    share = (values**2).sum()
    assert f"{share:.1f}" in capsys.readouterr().out


@pytest.mark.slow
def test_spectral_norms_are_followed_and_training_is_not_touched(
    experiment, data, tmp_path
):
    options = ["--steps", "60", "--every", "20", "--checkpoint-every", "20"]
    found = experiment("spectral-norms", *options, scored=False)
    rows = {row["layer"]: row for row in found["rows"]}
    assert list(rows) == ["conv", "dense"]
    run = tmp_path / "out" / "runs" / "spectral-seed0"
    source = load(f"idx:{data}", image_size=12)
    gan, step = restored(RunFolder(run), source)
    assert step == 60
    # What scored best counts where it is asked for alone.
    early = RunFolder(run).checkpoints / "step-00000020.npz"
    early.rename(early.with_name("best.npz"))
    steps = [restored(RunFolder(run), source, best)[1] for best in (False, True)]
    assert steps == [60, 20]
    layers = [
        layer
        for layer in gan.discriminator.layers
        if isinstance(layer, SpectralNormalization)
    ]
    for layer in layers:
        kernel = np.asarray(layer.normalized_kernel(), np.float64)
        sigma = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        assert rows[layer.name]["steps"] == [20, 40, 60]
        assert rows[layer.name]["values"][-1] == pytest.approx(sigma, rel=1e-5)
        # Figure 9: the power iteration's estimate is a little below σ₁.
        assert 0.999 < sigma < 1.05
    config = RunFolder(run).config()["preset"]
    alone = tmp_path / "alone"
    fit.fit(alone, Preset(**config), source=source, say=lambda text: None)
    one, two = saved(run), saved(alone)
    assert all((one[name] == two[name]).all() for name in two)


def test_every_must_be_a_count(experiment, tmp_path, capsys):
    experiment("spectral-norms", "--every", "0", scored=False, code=1)
    assert "`--every`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""Worker processes of one run: the weights of a single process, and its files."""

import numpy as np

from training.__main__ import main
from training.storage.checkpoints import Checkpoints
from training.storage.folder import RunFolder

RUN = (
    "fit --preset mnist-demo --steps 4 --discriminator-steps 2 --width-multiplier 0.02 "
    "--batch-size 8 --checkpoint-every 3 --log-every 2 --samples 4 --synchronized true"
).split()


def test_two_workers_give_the_weights_of_one_process(tmp_path, capfd):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*RUN, "--run", str(one), "--strategy", "one-device"]) == 0
    assert main(["launch", "--workers", "2", "--", *RUN, "--run", str(two)]) == 0
    said = capfd.readouterr().out
    assert "[worker 0] step 4/4" in said
    assert "[worker 1] step" not in said
    arrays = Checkpoints(one / "checkpoints").latest().arrays
    others = Checkpoints(two / "checkpoints").latest().arrays
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(others[name], array, rtol=1e-3, atol=1e-4)
    for a, b in zip(RunFolder(one).metrics(), RunFolder(two).metrics(), strict=True):
        for name in ("step", "generator_loss", "discriminator_loss"):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-5)
    files = [
        sorted(str(f.relative_to(run)) for f in run.rglob("*") if "logs" not in f.parts)
        for run in (one, two)
    ]
    assert files[0] == files[1]

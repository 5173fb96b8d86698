"""Worker processes of one run: the weights of a single process, and its files."""

import sys

import numpy as np
import pytest

from training.__main__ import main
from training.devices.launch import launch
from training.storage.checkpoints import Checkpoints
from training.storage.folder import RunFolder

RUN = (
    "fit --preset mnist-demo --steps 4 --discriminator-steps 2 --width-multiplier 0.02 "
    "--batch-size 8 --checkpoint-every 3 --log-every 2 --samples 4 --synchronized true"
).split()


@pytest.mark.slow
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


DIFFERENT = """
import json, os, sys
from training.__main__ import main
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
sys.exit(main([*sys.argv[1:], "--seed", str(3 + index), "--log-every", str(1 + index)]))
"""


@pytest.mark.slow
def test_workers_that_were_started_differently_say_what_differs(tmp_path, capfd):
    run = tmp_path / "run"
    assert launch([sys.executable, "-c", DIFFERENT, *RUN, "--run", str(run)], 2) == 1
    said = capfd.readouterr().out
    # Each says it, unless it is ended because another one has.
    assert (
        "error: All workers must be started by the same command, and see the same "
        "images. What differs: `--log-every` is 1 in worker 0 and 2 in worker 1; "
        "`--seed` is 3 in worker 0 and 4 in worker 1"
    ) in said
    assert "Traceback" not in said and not run.exists()

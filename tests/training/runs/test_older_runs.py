"""A run that 0.1.0 started carries on as 0.1.0 would have carried it on.

`fixtures/carried-on` is what a process of 0.1.0 left that was killed at step 5 of 6
(but for pictures and `.keras` files, which are written anew);
`carried-on-to-step-6.npz` is the checkpoint of the same run when 0.1.0 had finished it.
"""

import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.__main__ import main
from training.storage.folder import RunFolder

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
COMMAND = (
    "fit --preset mnist-demo --conditioning projection --ema 0.9 --ema-ramp false "
    "--learning-rate 2e-4 "
    "--width-multiplier 0.02 --latent-dim 8 --batch-size 4 --steps 6 "
    "--checkpoint-every 3 --keep 1 --log-every 1 --sample-every 3 --samples 4"
).split()
# What decides how sums are split and rounded: the versions, and what oneDNN picks its
# kernels by, which is the processor and the number of its cores.
MADE_ON = ("3.15.1", "2.21.0", 2, "Intel(R) Xeon(R) Processor", "266240 KB", True)
# Elsewhere: three times the largest difference that was measured with AVX2 or SSE4.1
# kernels, with one thread, and without oneDNN (9.5e-5 and 1.4e-3). Latents of the other
# sign fail by that, too.
TOLERANCE = {"generator": 3e-4, "discriminator": 3e-4}
OPTIMIZERS_TOLERANCE = 5e-3


def here():
    about = {}
    if os.path.exists("/proc/cpuinfo"):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            about.setdefault(key.strip(), value.strip())
    return (
        keras.__version__,
        tf.__version__,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        about.get("model name"),
        about.get("cache size"),
        "avx512_fp16" in about.get("flags", "").split(),
    )


def differing(found, wanted, exactly):
    """The arrays that differ, or differ by more than another processor makes them."""
    names = []
    for name, array in wanted.items():
        tolerance = TOLERANCE.get(name.partition("/")[0], OPTIMIZERS_TOLERANCE)
        if exactly or array.dtype.kind != "f":
            same = np.array_equal(found[name], array)
        else:
            same = np.allclose(found[name], array, rtol=0, atol=tolerance)
        if not same:
            names.append(name)
    return names


@pytest.mark.slow
def test_a_run_of_0_1_0_carries_on(tmp_path, capsys):
    before = RunFolder(FIXTURES / "carried-on").metrics()
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(FIXTURES / "carried-on", folder.path)
    assert main([*COMMAND, "--run", str(folder.path)]) == 0
    assert "Carrying on from step 3 of 6" in capsys.readouterr().out
    found = dict(np.load(folder.checkpoints / "step-00000006.npz"))
    wanted = dict(np.load(FIXTURES / "carried-on-to-step-6.npz"))
    assert found.keys() == wanted.keys()
    # Version 0.1.0 named neither the run nor a digest.
    about, before_about = (
        json.loads(arrays.pop("metadata").tobytes()) for arrays in (found, wanted)
    )
    assert before_about.items() <= about.items()
    assert not differing(found, wanted, exactly=here() == MADE_ON)

    # Later versions say more, and the same of what 0.1.0 said.
    config = folder.config()
    assert config.pop("id")
    for part, content in RunFolder(FIXTURES / "carried-on").config().items():
        # The preset of that name has other values since.
        content.pop("description", None)
        if part == "versions":
            # Of what carries the run on.
            content.pop("sn_keras")
        assert content.items() <= config[part].items()
    metrics = folder.metrics()
    assert [line["step"] for line in metrics] == [1, 2, 3, 4, 5, 6]
    assert metrics[:3] == before[:3]
    for name in ("generator.keras", "generator-ema.keras", "discriminator.keras"):
        assert (folder.path / name).exists()
    names = sorted(file.name for file in folder.samples.iterdir())
    assert names == ["step-00000006.png"]  # of step 3, 0.1.0 had made it

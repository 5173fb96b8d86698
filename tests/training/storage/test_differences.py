"""What says that two runs are equal sees every kind of difference."""

import collections
import shutil

import keras
import numpy as np
import pytest

from training.storage.checkpoints import Checkpoints
from training.storage.differences import differences
from training.storage.folder import RunFolder
from training.storage.tensorboard import Events


def change_a_checkpoint(folder):
    checkpoints = Checkpoints(folder.checkpoints, run=folder.id())
    found = checkpoints.latest()
    first = found.arrays["generator_optimizer/0002"]
    first[...] = np.nextafter(first, np.float32(1))
    groups = collections.defaultdict(list)
    for name, array in found.arrays.items():
        groups[name.partition("/")[0]].append(array)
    checkpoints.save(found.step, groups, found.metadata)


def drop_a_line(folder):
    lines = folder.metrics_file.read_text().splitlines(keepends=True)
    folder.metrics_file.write_text("".join(lines[:-1]))


def double_a_point(folder):
    events = Events(folder.logs)
    events.scalars(4, {"generator_loss": folder.metrics()[1]["generator_loss"]})
    events.close()


def change_a_picture(folder):
    path = min(folder.samples.iterdir())
    path.write_bytes(path.read_bytes() + b"\0")


def change_a_weight(folder):
    model = keras.saving.load_model(folder.generator)
    model.variables[0].assign(np.nextafter(model.variables[0], np.float32(1)))
    model.save(folder.generator)


def leave_a_temporary_file(folder):
    (folder.path / ".config-x.tmp.json").write_text("{")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (change_a_checkpoint, "checkpoint: generator_optimizer/0002"),
        (drop_a_line, "metrics.jsonl: 1 missing, 0 surplus"),
        (double_a_point, "TensorBoard: 0 missing, 0 surplus, 1 twice"),
        (change_a_picture, "picture: samples/step-00000003.png"),
        (change_a_weight, "generator.keras: 0"),
        (leave_a_temporary_file, "left behind: .config-x.tmp.json"),
    ],
)
def test_a_difference_is_found_and_named(change, found, tmp_path, finished):
    shutil.copytree(finished, tmp_path / "run")
    assert differences(finished, tmp_path / "run") == []
    change(RunFolder(tmp_path / "run"))
    (difference,) = differences(finished, tmp_path / "run")
    assert difference.startswith(found)

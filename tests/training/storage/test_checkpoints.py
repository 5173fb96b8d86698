"""Checkpoints and the files under them survive what happens to files."""

import keras
import numpy as np
import pytest

from training.storage.checkpoints import Checkpoints
from training.storage.files import replacing


def variables(*values):
    return [keras.Variable(np.asarray(value, "float32")) for value in values]


def test_a_checkpoint_restores_bit_for_bit(tmp_path):
    saved = variables([1.5, np.pi], 3.0)
    counter = keras.Variable(7, dtype="int64")
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(7, {"weights": saved, "step": [counter]}, {"losses": [0.5]})
    fresh, other = variables([0, 0], 0.0), keras.Variable(0, dtype="int64")
    found = checkpoints.latest()
    found.restore({"weights": fresh, "step": [other]})
    assert (found.step, found.metadata) == (7, {"losses": [0.5]})
    np.testing.assert_array_equal(fresh[0].value, saved[0].value)
    assert int(other.value) == 7


def test_only_the_newest_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 10, 9):
        checkpoints.save(step, {"w": variables(step)})
    assert [step for step, _ in checkpoints.steps()] == [9, 10]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_newest_is_passed_over_by_name(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"w": variables(np.arange(100))})
    newest = checkpoints.save(2, {"w": variables(np.arange(100))})
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[300] ^= 0xFF
    newest.write_bytes({"cut": content[:250], "flip": content, "empty": b""}[damage])
    with pytest.warns(UserWarning, match="step-00000002.npz is damaged"):
        assert checkpoints.latest().step == 1


def test_another_structure_is_refused_before_anything_is_assigned(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"w": variables([1, 2], [3, 4])})
    target = variables([0, 0], [0, 0, 0])
    with pytest.raises(ValueError, match="does not fit `groups`.*another shape"):
        checkpoints.latest().restore({"w": target})
    np.testing.assert_array_equal(target[0].value, [0, 0])
    with pytest.raises(ValueError, match="missing in the file .*'v/0000'"):
        checkpoints.latest().restore({"v": target})


def test_there_may_be_none(tmp_path):
    assert Checkpoints(tmp_path / "new").latest() is None


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / ".step-00000003-abc.tmp.npz").write_bytes(b"half")
    checkpoints.save(1, {"w": variables(1.0)})
    checkpoints.latest()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.npz"]

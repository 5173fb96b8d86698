"""Checkpoints and the files under them survive what happens to files."""

import errno
import os
import pathlib
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

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


def test_what_is_damaged_pushes_no_whole_one_out(tmp_path):
    """Nor does the one that is written go, whose step is before that of the damaged."""
    Checkpoints(tmp_path).save(1, {"w": variables(1)})
    Checkpoints(tmp_path).save(3, {"w": variables(3)}).write_bytes(b"cut")
    checkpoints = Checkpoints(tmp_path, keep=1)
    with pytest.warns(UserWarning, match="step-00000003.npz is damaged"):
        assert checkpoints.latest().step == 1
    checkpoints.save(2, {"w": variables(2)})
    assert Checkpoints(tmp_path).latest().step == 2
    assert (tmp_path / "step-00000003.npz.damaged").read_bytes() == b"cut"
    assert [step for step, _ in checkpoints.steps()] == [2]


def test_one_that_can_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"w": variables(1)})

    def refused(self, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(PermissionError, match="step-00000001"):
        checkpoints.latest()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two checkpoints, and the bytes of the newer one."""
    checkpoints = Checkpoints(tmp_path_factory.mktemp("two"))
    for step in (1, 2):
        values = variables(np.arange(20), [1, 2, 3], 4.0)
        checkpoints.save(step, {"w": values}, {"rollbacks": 0})
    newest = checkpoints.steps()[-1][1]
    return checkpoints, newest, newest.read_bytes()


def assert_passed_over(checkpoints):
    with pytest.warns(UserWarning, match="step-00000002.npz is damaged"):
        assert checkpoints.latest().step == 1


# All of them take seconds; a prime is in step with no structure of the file.
@pytest.mark.parametrize("start", range(3))
def test_a_change_of_any_byte_is_noticed(two, start):
    checkpoints, newest, content = two
    for at in [*range(start, len(content), 23), len(content) - 65 - start]:
        changed = bytearray(content)
        changed[at] ^= (0x01, 0x80, 0xFF)[start]
        newest.write_bytes(changed)
        assert_passed_over(checkpoints)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_other_damage_is_noticed(two, data):
    checkpoints, newest, content = two
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    instead = data.draw(st.one_of(st.binary(max_size=40), st.just(b"\0" * 500)))
    changed = content[:start] + instead + content[end:]
    assume(changed != content)
    newest.write_bytes(changed)
    assert_passed_over(checkpoints)


def test_one_without_a_digest_is_of_an_older_version_and_read(two):
    checkpoints, newest, content = two
    newest.write_bytes(content)
    arrays = dict(np.load(newest))
    arrays["metadata"] = np.frombuffer(b'{"rollbacks": 1}', np.uint8)
    np.savez(newest, **arrays)
    found = checkpoints.latest()
    assert (found.step, found.metadata) == (2, {"rollbacks": 1})


def test_one_of_another_run_or_step_is_refused_by_name(tmp_path):
    ours, theirs = (Checkpoints(tmp_path / x, run=x) for x in ("ours", "theirs"))
    ours.save(1, {"w": variables(1.0)})
    path = theirs.save(2, {"w": variables(2.0)})
    path.rename(ours.folder / path.name)
    with pytest.raises(ValueError, match="00002.npz belongs to another run. Move it"):
        ours.latest()
    (ours.folder / path.name).unlink()
    (ours.folder / "step-00000001.npz").rename(ours.folder / "step-00007000.npz")
    with pytest.raises(ValueError, match="00007000.npz is of step 1, another than"):
        ours.latest()
    theirs.save_best(3, {"w": variables(3.0)}).rename(ours.folder / "best.npz")
    with pytest.raises(ValueError, match="best.npz belongs to another run"):
        ours.best()


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


@pytest.mark.parametrize("kind", ["device", "link", "dangling link", "pipe", "folder"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, kind):
    path, target = tmp_path / "output.png", tmp_path / "target"
    if kind == "device":
        path = pathlib.Path("/dev/full")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
        if kind == "link":
            target.write_text("precious")
    before = path.lstat()
    with pytest.raises(ValueError, match=f"must be a regular file.*{path.name}, a"):
        with replacing(path) as temporary:
            temporary.write_text("new")
    assert path.lstat().st_ino == before.st_ino
    assert path.lstat().st_mode == before.st_mode
    assert target.exists() == (kind == "link")
    assert kind != "link" or target.read_text() == "precious"


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / ".step-00000003-abc.tmp.npz").write_bytes(b"half")
    checkpoints.save(1, {"w": variables(1.0)})
    checkpoints.latest()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.npz"]

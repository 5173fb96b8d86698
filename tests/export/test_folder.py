"""A folder is written whole or not at all."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from export import folder as folders
from export import manifests

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Writes a new folder, and is killed after the n-th rename (0: before any).
KILLED = """
import os, pathlib, signal, sys
from export import folders
path, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
rename, done = pathlib.Path.rename, []

def counted(self, target):
    if len(done) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, target)
    done.append(target)

pathlib.Path.rename = counted
with folders.replaced(path, overwrite=True) as folder:
    (folder / "export.json").write_text("new")
"""


def _write(path, text="old"):
    path.mkdir()
    (path / manifests.NAME).write_text(text)
    return path


def _text(path):
    return (path / manifests.NAME).read_text()


@pytest.fixture
def target(tmp_path):
    return _write(tmp_path / "out")


@pytest.mark.parametrize("renames", [0, 1])
def test_after_a_kill_the_next_export_finds_what_was_there(target, renames):
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(target), str(renames)], cwd=ROOT
    )
    assert process.returncode == -signal.SIGKILL
    assert len(list(target.parent.glob(".out-*"))) == 1
    # One that fails: what it leaves is what the killed one found.
    with pytest.raises(RuntimeError, match="stop"):
        with folders.replaced(target, overwrite=True):
            raise RuntimeError("stop")
    assert _text(target) == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_is_named_and_leaves_what_was_there(target):
    for error in (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError(f"RESOURCE_EXHAUSTED: {os.strerror(errno.ENOSPC)}"),
    ):
        with pytest.raises(OSError, match="the disk is full. What was there is as"):
            with folders.replaced(target, overwrite=True):
                raise error
    assert _text(target) == "old" and list(target.parent.iterdir()) == [target]


def test_two_at_once_are_both_whole_and_the_last_one_stays(target):
    with folders.replaced(target, overwrite=True) as first:
        (first / manifests.NAME).write_text("first")
        with folders.replaced(target, overwrite=True) as second:
            (second / manifests.NAME).write_text("second")
        assert _text(target) == "second"
    assert _text(target) == "first" and list(target.parent.iterdir()) == [target]


def test_what_appears_meanwhile_is_not_overwritten(tmp_path):
    with pytest.raises(FileExistsError, match="--overwrite"):
        with folders.replaced(tmp_path / "out", overwrite=False) as folder:
            (folder / manifests.NAME).write_text("late")
            _write(tmp_path / "out", "early")
    assert _text(tmp_path / "out") == "early"


def test_what_is_no_part_of_an_export_is_not_deleted_with_it(target):
    (target / "notes.txt").write_text("mine")
    (target / "web").mkdir()
    with pytest.raises(FileExistsError, match="notes.txt in it is no part of an exp"):
        folders.check_target(target, overwrite=True)
    (target / "notes.txt").unlink()
    assert folders.check_target(target, overwrite=True) == target


@pytest.mark.parametrize("path", ["/", ".", "..", "/proc"])
def test_a_folder_that_cant_be_moved_is_refused(path, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(FileExistsError, match="Choose a folder inside it"):
        folders.check_target(path, overwrite=True)


def test_what_is_no_path_is_refused(tmp_path):
    with pytest.raises(TypeError, match="`output` must be a path"):
        folders.check_target(None, overwrite=False)
    with pytest.raises(ValueError, match="`output` must name a folder"):
        folders.check_target("", overwrite=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is a file, not a folder"):
        folders.check_target(tmp_path / "file" / "out", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="no permission"):
        folders.check_target(tmp_path / "out", overwrite=False)

"""A folder is written whole or not at all, and nothing of anybody else's is lost."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from export import folder as folders
from export import manifest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Writes a new folder, and is killed after the n-th rename (0: before any).
KILLED = """
import os, pathlib, signal, sys
from export import folder as folders, manifest
path, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
rename, done = pathlib.Path.rename, []

def counted(self, target):
    if len(done) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, target)
    done.append(target)
    if number == 2 and len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

pathlib.Path.rename = counted
with folders.replaced(path, overwrite=True) as folder:
    (folder / "generator.onnx").write_text("new")
    manifest.write(folder, {})
"""


def _fill(path, text):
    (path / "generator.onnx").write_text(text)
    (path / "saved_model").mkdir()
    (path / "saved_model" / "saved_model.pb").write_text(text)
    manifest.write(path, {})


def _write(path, text="old"):
    path.mkdir()
    _fill(path, text)
    return path


def _text(path):
    return (path / "generator.onnx").read_text()


def _kill(path, renames):
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(renames)], cwd=ROOT
    )
    assert process.returncode == -signal.SIGKILL


@pytest.fixture
def target(tmp_path):
    return _write(tmp_path / "out")


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_after_a_kill_the_next_export_finds_what_was_there(target, renames):
    _kill(target, renames)
    assert len(list(target.parent.glob(".out-*"))) == 1
    # One that fails: what it leaves is what the killed one found.
    with pytest.raises(RuntimeError, match="stop"):
        with folders.replaced(target, overwrite=True):
            raise RuntimeError("stop")
    assert _text(target) == ("new" if renames == 2 else "old")
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("other", ["mnist-v2", "mnist-", "mnist-abcdefgh.partial-1"])
def test_what_a_killed_export_of_another_name_left_is_not_touched(tmp_path, other):
    _write(tmp_path / other)
    _kill(tmp_path / other, 1)  # its only copy is in the temporary folder
    (left,) = tmp_path.glob(f".{other}-*")
    notes = tmp_path / ".mnist-notes.partial"
    notes.mkdir()
    (notes / "precious.txt").write_text("mine")
    # As if another program made folders in the same way.
    foreign = tmp_path / ".mnist-abcdefgh.partial"
    (foreign / "new").mkdir(parents=True)
    with folders.replaced(tmp_path / "mnist", overwrite=True) as folder:
        _fill(folder, "new")
    assert _text(left / "old") == "old"
    assert (notes / "precious.txt").read_text() == "mine" and foreign.exists()
    with pytest.raises(RuntimeError, match="stop"):
        with folders.replaced(tmp_path / other, overwrite=True):
            raise RuntimeError("stop")
    assert _text(tmp_path / other) == "old" and not left.exists()


def test_the_only_copy_is_kept_where_something_else_took_its_place(target):
    _kill(target, 1)
    (left,) = target.parent.glob(".out-*")
    _write(target, "somebody's")
    with folders.replaced(target, overwrite=True) as folder:
        _fill(folder, "new")
    assert _text(left / "old") == "old" and _text(target) == "new"


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
        _fill(first, "first")
        with folders.replaced(target, overwrite=True) as second:
            _fill(second, "second")
        assert _text(target) == "second"
    assert _text(target) == "first" and list(target.parent.iterdir()) == [target]


def test_what_appears_meanwhile_is_not_overwritten(tmp_path, target):
    with pytest.raises(FileExistsError, match="--overwrite"):
        with folders.replaced(tmp_path / "new", overwrite=False) as folder:
            _fill(folder, "late")
            _write(tmp_path / "new", "early")
    assert _text(tmp_path / "new") == "early"
    with pytest.raises(FileExistsError, match="notes.txt in it is no part"):
        with folders.replaced(target, overwrite=True) as folder:
            _fill(folder, "late")
            (target / "notes.txt").write_text("mine")
    assert _text(target) == "old" and (target / "notes.txt").read_text() == "mine"


def test_what_comes_between_the_last_look_and_the_rename_is_put_back(
    target, monkeypatch
):
    def renamed(self, to):
        if to.name == "old":
            (self / "late.txt").write_text("mine")
        rename(self, to)

    rename = pathlib.Path.rename
    monkeypatch.setattr(pathlib.Path, "rename", renamed)
    with pytest.raises(FileExistsError, match="late.txt in it is no part"):
        with folders.replaced(target, overwrite=True) as folder:
            _fill(folder, "new")
    assert _text(target) == "old" and (target / "late.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "theirs",
    [
        "server.js",
        "generator-finetuned.tflite",
        "saved_model/thesis.txt",
        "web/index.html",
        ".hidden",
        "generator-int8-full.tflite",
    ],
)
def test_a_file_that_no_manifest_lists_is_not_deleted(target, theirs):
    (target / theirs).parent.mkdir(exist_ok=True)
    (target / theirs).write_text("mine")
    with pytest.raises(FileExistsError, match=f"{theirs} in it is no part of an exp"):
        folders.check_target(target, overwrite=True)
    (target / theirs).unlink()
    assert folders.check_target(target, overwrite=True) == target


def test_a_listed_file_that_was_changed_is_not_deleted(target):
    (target / "generator.onnx").write_text("own")  # as long as what was written
    with pytest.raises(FileExistsError, match="generator.onnx in it .* was changed"):
        folders.check_target(target, overwrite=True)
    (target / "generator.onnx").unlink()
    folders.check_target(target, overwrite=True)
    (target / "generator.onnx").symlink_to(target / "export.json")
    with pytest.raises(FileExistsError, match="generator.onnx in it"):
        folders.check_target(target, overwrite=True)


def test_a_page_inside_goes_with_its_export_as_long_as_it_is_whole(target):
    (target / "web").mkdir()
    (target / "web" / "page.js").write_text("page")
    manifest.write(target / "web", {}, manifest.PAGE)
    assert folders.check_target(target, overwrite=True) == target
    (target / "web" / "page.js").write_text("mine")
    with pytest.raises(FileExistsError, match="web/page.js in it"):
        folders.check_target(target, overwrite=True)


@pytest.mark.parametrize("renames", [0, 1])
def test_what_a_killed_page_left_inside_is_no_reason(target, renames):
    (target / "web").mkdir()
    (target / "web" / "page.js").write_text("page")
    manifest.write(target / "web", {}, manifest.PAGE)
    code = KILLED.replace("overwrite=True", "True, manifest.PAGE")
    process = subprocess.run(
        [sys.executable, "-c", code, str(target / "web"), str(renames)], cwd=ROOT
    )
    assert process.returncode == -signal.SIGKILL and list(target.glob(".web-*"))
    assert folders.check_target(target, overwrite=True) == target
    assert not list(target.glob(".web-*"))
    assert (target / "web" / "page.js").read_text() == "page"


def test_what_an_earlier_version_wrote_is_refused_with_the_reason(target):
    told = json.loads((target / "export.json").read_text())
    del told["contents"]
    (target / "export.json").write_text(json.dumps(told))
    with pytest.raises(FileExistsError, match="an earlier version wrote it. Export ag"):
        folders.check_target(target, overwrite=True)


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

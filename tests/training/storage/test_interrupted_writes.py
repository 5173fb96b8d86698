"""What is on the disk is whole, wherever a write is cut off."""

import errno
import pathlib
import resource
import traceback

import numpy as np
import pytest

from tests.training.toy_runs import CrashError, fit
from training.runs.callbacks import finiteness
from training.storage.differences import differences
from training.storage.files import DiskFullError, full_disk_explained
from training.storage.folder import RunFolder


def crash_at_replacement(monkeypatch, number, done):
    """Ends the process' work at a rename, before or after it is done, like a kill.

    The temporary file stays, as it does when nothing runs any more.
    """
    replace, unlink = pathlib.Path.replace, pathlib.Path.unlink
    calls, crashed = [], []

    def crash(self, target):
        calls.append(target)
        if len(calls) <= number:
            return replace(self, target)
        if done:
            replace(self, target)
        crashed.append(target)
        raise CrashError

    def keep(self, missing_ok=False):
        if not crashed:
            unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(pathlib.Path, "replace", crash)
    monkeypatch.setattr(pathlib.Path, "unlink", keep)
    return crashed


@pytest.mark.slow
def test_a_run_that_is_cut_off_at_every_file_ends_the_same(
    tmp_path, source, finished, monkeypatch
):
    hit = []
    for number in range(50):
        with monkeypatch.context() as patch:
            crashed = crash_at_replacement(patch, number, done=number % 2)
            try:
                result = fit(tmp_path / "run", source)
                break
            except CrashError:
                hit += [pathlib.Path(target).name for target in crashed]
    assert result.finished
    kinds = {"config.json", "metrics.jsonl", "step-00000002.npz"}
    kinds |= {"generator.keras", "discriminator.keras"}
    assert kinds < set(hit) and any(name.endswith(".png") for name in hit)
    assert not differences(finished, tmp_path / "run")


def newest(folder):
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime)


# The step and the bytes above which no file grows from then on, and the function whose
# write fails: files of a step are written one after the other, the larger ones later.
LIMITS = {
    "write_png": (3, lambda run: 20),
    "append_metrics": (4, lambda run: run.metrics_file.stat().st_size + 5),
    "scalars": (4, lambda run: newest(run.logs).stat().st_size + 5),
    "save_model": (4, lambda run: run.generator.stat().st_size - 500),
}


def functions(error):
    """The names of the functions that an error and its causes came through."""
    names = set()
    while error is not None:
        names |= {frame.name for frame in traceback.extract_tb(error.__traceback__)}
        error = error.__cause__ or error.__context__
    return names


@pytest.mark.slow
@pytest.mark.parametrize("writer", LIMITS)
def test_a_full_disk_is_named_and_costs_nothing(
    writer, tmp_path, source, finished, monkeypatch
):
    folder = RunFolder(tmp_path / "run")
    after = finiteness.Guard.after
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, step, due, logs):
        full_from, limit_of = LIMITS[writer]
        if step == full_from:
            limit = limit_of(folder)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        after(self, step, due, logs)

    with monkeypatch.context() as patch:
        patch.setattr(finiteness.Guard, "after", fill)
        try:
            with pytest.raises(DiskFullError, match=f"{folder.path} is full") as raised:
                fit(folder.path, source)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer in functions(raised.value)
    assert fit(folder.path, source).finished
    assert not differences(finished, folder.path)


@pytest.mark.slow
def test_a_checkpoint_that_finds_no_space_leaves_the_one_before(
    tmp_path, source, finished, monkeypatch
):
    def half(file, **arrays):
        if len(list((tmp_path / "run" / "checkpoints").glob("step*"))) == 1:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    savez = np.savez
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half)
        with pytest.raises(DiskFullError, match="carries on from the newest"):
            fit(tmp_path / "run", source)
    (left,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert left.name == "step-00000002.npz"
    assert fit(tmp_path / "run", source).finished
    assert not differences(finished, tmp_path / "run")


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(PermissionError), full_disk_explained(tmp_path):
        raise PermissionError(13, "Permission denied")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_named(tmp_path, source, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="`run` must be a folder that can be made"):
        fit(file / "run", source)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    # Not by the file's mode, which does not stop an administrator.
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"`run` must.*Permission denied"):
        fit(tmp_path / "run", source)


def test_of_two_folders_the_nearer_one_is_full(tmp_path):
    with pytest.raises(DiskFullError, match="cache is full"):
        with full_disk_explained(tmp_path / "run"):
            with full_disk_explained(tmp_path / "cache"):
                raise OSError(errno.ENOSPC, "No space left on device")

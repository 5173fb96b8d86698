"""After a NaN: back to the newest checkpoint and on with other random numbers."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.training.toy_runs import OPTIONS, PRESET, CrashError, crash_at, fit
from training.runs import loop
from training.runs.callbacks import finiteness
from training.storage.checkpoints import Checkpoints
from training.storage.differences import differences

ROLLBACK = dataclasses.replace(OPTIONS, on_nan="rollback")


def nan_at(monkeypatch, step, seeds=1):
    """Makes weights NaN at a step, as long as the random numbers are the first ones."""
    after = finiteness.Guard.after
    seen = []

    def poison(self, now, due, logs):
        if self.model.seed not in seen:
            seen.append(self.model.seed)
        if now == step and seen.index(self.model.seed) < seeds:
            logs = {**logs, "generator_loss": np.nan}
        after(self, now, due, logs)

    monkeypatch.setattr(finiteness.Guard, "after", poison)
    return seen


def newest(path):
    return Checkpoints(path / "checkpoints").latest()


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 5])
def test_the_run_goes_on_from_the_newest_checkpoint(
    step, tmp_path, source, finished, monkeypatch
):
    said = []
    seeds = nan_at(monkeypatch, step)
    result = fit(tmp_path / "run", source, options=ROLLBACK, say=said.append)
    assert result.finished and result.step == PRESET.steps
    (line,) = (line for line in said if "Going back" in line)
    assert f"not finite at step {step}" in line and "sigma/conv" in line
    assert f"Going back to step {step // 2 * 2}" in line and "1 of 3" in line
    assert len(seeds) == 2
    one, other = newest(tmp_path / "run"), newest(finished)
    assert (one.metadata, other.metadata) == ({"rollbacks": 1}, {"rollbacks": 0})
    assert any((one.arrays[k] != v).any() for k, v in other.arrays.items())


@pytest.mark.slow
def test_a_run_that_is_killed_after_a_rollback_ends_as_one_that_was_not(
    tmp_path, source, monkeypatch
):
    def at_first_seed(self, now, due, logs):
        if now == 3 and self.model.seed == PRESET.seed:
            raise finiteness.NonFiniteError(f"not finite at step {now}.")
        after(self, now, due, logs)

    after = finiteness.Guard.after
    monkeypatch.setattr(finiteness.Guard, "after", at_first_seed)
    fit(tmp_path / "whole", source, options=ROLLBACK)
    with monkeypatch.context() as patch:
        crash_at(patch, 6)
        with pytest.raises(CrashError):
            # It crashes at its second pass over step 6, after the checkpoint of 4.
            fit(tmp_path / "run", source, options=ROLLBACK)
    assert newest(tmp_path / "run").metadata == {"rollbacks": 1}
    fit(tmp_path / "run", source, options=ROLLBACK)
    assert not differences(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_a_nan_that_comes_again_and_again_ends_the_run(tmp_path, source, monkeypatch):
    seeds = nan_at(monkeypatch, 3, seeds=99)
    with pytest.raises(finiteness.NonFiniteError, match="3 times in a row"):
        fit(tmp_path / "run", source, options=ROLLBACK)
    assert len(seeds) == 1 + loop._ROLLBACKS
    assert newest(tmp_path / "run").step == 2


class FakeScore(keras.callbacks.Callback):
    """Finds steps 2 and 4 better than all before, and step 6 not."""

    best_step = None

    def on_train_batch_end(self, batch, logs=None):
        if self.model.step in (2, 4):
            self.best_step = self.model.step


@pytest.mark.slow
def test_a_weight_is_looked_at_before_its_images_are_scored(
    tmp_path, source, monkeypatch
):
    def poison(self, now, due, logs):
        after(self, now, due, logs)
        if now == 3 and self.model.seed == PRESET.seed:
            self.model.generator.trainable_variables[0].assign_add([[np.nan]])

    class Score(FakeScore):
        def on_train_batch_end(self, batch, logs=None):
            assert np.isfinite(self.model.generator.get_weights()[0]).all()

    after = finiteness.Guard.after
    monkeypatch.setattr(finiteness.Guard, "after", poison)
    monkeypatch.setattr(loop, "_score", lambda *_: Score())
    said = []
    options = dataclasses.replace(ROLLBACK, score_every=1)
    assert fit(tmp_path / "run", source, options=options, say=said.append).finished
    (line,) = (line for line in said if "Going back" in line)
    assert "is not finite at step 3" in line and "step 2" in line


@pytest.mark.slow
def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path, source, monkeypatch):
    monkeypatch.setattr(loop, "_score", lambda *_: FakeScore())
    options = dataclasses.replace(OPTIONS, keep=1, score_every=2)
    fit(tmp_path / "run", source, dataclasses.replace(PRESET, steps=6), options)
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    assert [step for step, _ in checkpoints.steps()] == [6]
    best = checkpoints.best()
    assert best.step == 4
    fit(tmp_path / "short", source, dataclasses.replace(PRESET, steps=4))
    for name, array in newest(tmp_path / "short").arrays.items():
        np.testing.assert_array_equal(best.arrays[name], array, err_msg=name)

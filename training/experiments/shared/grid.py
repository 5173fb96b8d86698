"""Runs by the dozen: each in a folder of its own, all carried on where they stopped."""

from __future__ import annotations

import dataclasses
import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import quiet, values
from training.experiments.shared.side_by_side import Jobs, train_side_by_side
from training.experiments.shared.stopping import StoppedError
from training.runs import checks, fit
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.files import check_writable, write_json
from training.storage.folder import RunFolder

if TYPE_CHECKING:
    from training.data import DataSource
    from training.runs.callbacks.measurements import Measurement

_DIVERGED = "diverged.json"
_MEASURED = "measured.json"
# Fields of a preset that say nothing about what is computed up to a step.
_IGNORED = ("name", "description", "steps")


@dataclasses.dataclass(frozen=True)
class Member:
    """One run of an experiment.

    Attributes:
        name: its folder's name.
        preset: what to train.
        about: what it stands for in the results, such as its method and seed.
    """

    name: str
    preset: Preset
    about: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A member that came to its end.

    Attributes:
        member: which.
        folder: its run's folder.
        source: the images that it was trained on.
        diverged: None, or what became infinite or NaN, and when.
    """

    member: Member
    folder: RunFolder
    source: DataSource
    diverged: str | None = None


def load_sources(
    members: Sequence[Member], split: str | None = None
) -> list[DataSource]:
    """Checks the members, and loads their images; those of the same data share them.

    Args:
        members: the runs.
        split: which part; data without it, or None: the part to train on.

    Raises:
        ValueError: if a member is out of its range, or images can't be loaded.
    """
    for member in members:
        checks.preset(member.preset)
        checks.data(member.preset.data)
    quiet.import_tensorflow()
    loaded: dict[tuple[str, int], DataSource] = {}
    keys = [(one.preset.data, one.preset.image_size) for one in members]
    for key, member in zip(keys, members, strict=True):
        if key not in loaded:
            found = None if split is None else load_split(member.preset, split)
            loaded[key] = found or fit.load_images(member.preset)
    return [loaded[key] for key in keys]


def load_split(preset: Preset, split: str) -> DataSource | None:
    """Loads a split of a preset's data, None if there is no such split."""
    from training.data import NoSuchSplitError, load_configured

    try:
        return load_configured(preset.as_dict(), split)
    except NoSuchSplitError:
        return None


def train(
    output: Path,
    members: Sequence[Member],
    sources: Sequence[DataSource],
    options: RunOptions,
    measurements: Sequence[Measurement] = (),
    jobs: Jobs | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Trained]:
    """Trains the members, each in `output/runs/NAME`.

    A member is an ordinary run, and what its folder holds is carried on; a finished
    one is not trained again, nor is one whose loss or weights became infinite or NaN:
    with the same seed they would again.

    Args:
        output: the experiment's folder.
        members: the runs, of different names.
        sources: the images of each.
        options: how to run all of them.
        measurements: what to write to each run's metrics besides.
        jobs: how many at a time; None: one after another, in this process.
        say: gets a line of text now and then.

    Yields:
        Each member when it has come to its end.

    Raises:
        StoppedError: if a signal came or a run in another process failed.
        ValueError: if a member is out of its range (before anything is written), or its
            folder belongs to something else, has more steps, or was measured less
            often or by other options.
    """
    from training.runs.callbacks.finiteness import NonFiniteError

    presets = [checks.preset(member.preset) for member in members]
    names = [member.name for member in members]
    jobs = jobs or Jobs()
    if jobs.only is not None:
        values.name("only_run", jobs.only, names)
    check_writable(output, "output")
    folders = [RunFolder(output / "runs" / name) for name in names]
    for folder, preset, source in zip(folders, presets, sources, strict=True):
        checks.images(preset, options, source)
        _check_done(folder, preset, options, measurements)
    _check_measured(output / _MEASURED, measurements)
    if jobs.count > 1 and jobs.only is None:
        grid = zip(folders, presets, sources, strict=True)
        left = [f.path.name for f, p, s in grid if not _ended(f, p, s)]
        train_side_by_side(left, jobs)
    told = _once(say)
    for number, (member, folder, preset, source) in enumerate(
        zip(members, folders, presets, sources, strict=True), 1
    ):
        if jobs.only is None:
            say(f"[{number}/{len(members)}] {member.name}")
        elif jobs.only != member.name:
            continue
        message = _known_to_diverge(folder, preset, source)
        if message is None:
            try:
                result = fit.fit(
                    folder.path, preset, options, source, told, measurements
                )
            except NonFiniteError as error:
                message = str(error)
                about = {"message": message, "preset": preset.as_dict()}
                write_json(folder.path / _DIVERGED, {**about, "data": source.digest})
            else:
                if not result.finished:
                    raise StoppedError(
                        f"Stopped in {member.name} at step {result.step}. The same "
                        "command carries on.",
                        result.exit_code,
                    )
        # A GAN and its graphs are cycles of references, and hundreds of MB.
        gc.collect()
        if jobs.only is not None:
            raise StoppedError("done", 0)
        yield Trained(member, folder, source, message)


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Returns `say` without what was said before: all runs get the same advice."""
    heard: set[str] = set()

    def tell(text: str) -> None:
        if text not in heard:
            heard.add(text)
            say(text)

    return tell


def _check_done(
    folder: RunFolder,
    preset: Preset,
    options: RunOptions,
    measurements: Sequence[Measurement],
) -> None:
    """Raises if what a folder holds isn't what it would hold if trained now."""
    from training.evaluation.generators import step_of

    done = step_of(folder)
    if done > preset.steps:
        least = f"{done} or more, the steps that {folder.path} has"
        raise ValueError(values.message("steps", least, preset.steps))
    together = options.steps_per_execution
    for one in measurements:
        measured = one.steps_in(folder)
        # What is due in an execution of several steps comes at its end.
        missing = [
            step
            for step in range(one.every, done + 1, one.every)
            if measured.isdisjoint(range(step, step + together))
        ]
        if missing:
            raise ValueError(
                "`output` must be a folder whose runs were measured every "
                f"{one.every} steps. Received: {folder.path}, which wasn't at step "
                f"{missing[0]}"
            )


def _check_measured(file: Path, measurements: Sequence[Measurement]) -> None:
    """Notes the options that runs are measured by; raises if they were others."""
    by: dict[str, Any] = {}
    for one in measurements:
        by |= {"every": one.every, **one.by}
    try:
        before = dict(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        before = {}
    for name, value in by.items():
        if before.get(name, value) != value:
            wanted = f"{before[name]!r}, by which {file.parent} was measured"
            raise ValueError(values.message(name, wanted, value))
    if by:
        write_json(file, by)


def _ended(folder: RunFolder, preset: Preset, source: DataSource) -> bool:
    from training.evaluation.generators import step_of

    ended = step_of(folder) >= preset.steps
    return ended or _known_to_diverge(folder, preset, source) is not None


def _known_to_diverge(
    folder: RunFolder, preset: Preset, source: DataSource
) -> str | None:
    """Returns what happened when this run was trained before, if it diverged."""
    wanted = preset.as_dict()
    try:
        about = json.loads((folder.path / _DIVERGED).read_text(encoding="utf-8"))
        message = str(about["message"])
        # Of a version that hadn't yet all the fields.
        before = {**Preset.defaults(), **about["preset"]}
        longer = wanted["steps"] >= before["steps"]
        # Where the rate falls to the end, the end decides each step.
        same = not wanted["decay_steps"] or wanted["steps"] == before["steps"]
        same = same and about.get("data", source.digest) == source.digest
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return None  # damaged: the run is trained again
    same = same and all(before.get(k) == wanted[k] for k in wanted if k not in _IGNORED)
    return message if same and longer else None

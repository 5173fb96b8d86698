"""What differs between two runs' folders that should be the same run."""

from __future__ import annotations

import pathlib
import warnings
from typing import Any

import numpy as np

# The time that steps took.
_TIMES = ("images_per_second",)


def differences(expected: pathlib.Path, found: pathlib.Path) -> list[str]:
    """Returns what differs, in words; an empty list if nothing does.

    Compared bit for bit: the last checkpoint (weights of both networks, both
    optimizers with their steps and averages, seeds, metrics), the metrics' lines,
    TensorBoard's points, the pictures and the generators' weights. Times are left out.

    Args:
        expected: the folder of one run.
        found: that of the other.
    """
    return [
        *_checkpoints(expected, found),
        *_points("metrics.jsonl", _metrics(expected), _metrics(found)),
        *_points("TensorBoard", _events(expected), _events(found)),
        *_pictures(expected, found),
        *_models(expected, found),
        *(f"left behind: {path.name}" for path in found.rglob("*.tmp*")),
    ]


def _checkpoints(expected: pathlib.Path, found: pathlib.Path) -> list[str]:
    from training.storage.checkpoints import Checkpoints

    with warnings.catch_warnings():
        # A damaged one in a finished run is a fault of its own.
        warnings.simplefilter("error")
        one, other = (
            Checkpoints(run / "checkpoints").latest() for run in (expected, found)
        )
    if one is None or other is None:
        return ["no checkpoint"]
    if (one.step, one.metadata) != (other.step, other.metadata):
        return [f"last checkpoint: step {one.step} and step {other.step}"]
    return _arrays("checkpoint", one.arrays, other.arrays)


def _arrays(what: str, one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    if one.keys() != other.keys():
        return [f"{what}: other arrays, {sorted(one.keys() ^ other.keys())}"]
    return [
        f"{what}: {name}"
        for name, array in one.items()
        if array.tobytes() != other[name].tobytes()
    ]


def _metrics(run: pathlib.Path) -> list[str]:
    import json

    found = []
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        found.append(str({k: v for k, v in entry.items() if k not in _TIMES}))
    return found


def _events(run: pathlib.Path) -> list[str]:
    import tensorflow as tf

    found = []
    for file in sorted((run / "logs").iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag not in _TIMES:
                    points = tf.make_ndarray(value.tensor).tolist()
                    found.append(f"{event.step} {value.tag} {points}")
    return sorted(found)


def _points(what: str, one: list[str], other: list[str]) -> list[str]:
    missing = [point for point in one if point not in other]
    surplus = [point for point in other if point not in one]
    twice = len(other) - len(set(other))
    if one == other:
        return []
    return [
        f"{what}: {len(missing)} missing, {len(surplus)} surplus, {twice} twice: "
        f"{(missing + surplus)[:2]}"
    ]


def _pictures(expected: pathlib.Path, found: pathlib.Path) -> list[str]:
    one, other = (
        {
            str(path.relative_to(run)): path.read_bytes()
            for path in sorted(run.rglob("*.png"))
        }
        for run in (expected, found)
    )
    names = sorted(one.keys() | other.keys())
    return [f"picture: {name}" for name in names if one.get(name) != other.get(name)]


def _models(expected: pathlib.Path, found: pathlib.Path) -> list[str]:
    import keras

    import sn_keras  # noqa: F401 (registers the layers that files name)

    differing = []
    for path in sorted(expected.glob("*.keras")):
        # Not `variables`: a file has no seeds of dropout, which loading draws anew.
        one, other = (
            {
                str(i): np.asarray(keras.ops.convert_to_numpy(variable))
                for i, variable in enumerate(
                    keras.saving.load_model(run / path.name, compile=False).weights
                )
            }
            for run in (expected, found)
        )
        differing += _arrays(path.name, one, other)
    return differing

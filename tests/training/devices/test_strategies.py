"""Which strategy a name, the machine and TF_CONFIG give."""

import json

import pytest
import tensorflow as tf

from tests.replicas import two_replicas
from training.devices import strategies
from training.devices.cluster import Cluster, find_cluster


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("TF_CONFIG", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)


def has(monkeypatch, kind, count):
    """Lets the machine have so many devices of a kind, beside one CPU."""
    found = {kind: [kind] * count, "CPU": ["CPU"]}
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind=None: found.get(kind, [])
    )
    monkeypatch.setattr(strategies, "_logical", lambda kind: found.get(kind, []))


def set_config(monkeypatch, workers, task=("worker", 0)):
    config = {"cluster": {"worker": workers}, "task": dict(type=task[0], index=task[1])}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


@pytest.mark.parametrize(
    ("kind", "count", "workers", "expected"),
    [
        ("GPU", 0, [], "one-device"),
        ("GPU", 1, [], "one-device"),
        ("GPU", 2, [], "mirrored"),
        ("GPU", 2, ["a:1", "b:1"], "multi-worker"),
        ("GPU", 0, ["a:1", "b:1"], "multi-worker"),
        # One worker alone needs no collectives.
        ("GPU", 0, ["a:1"], "one-device"),
        ("TPU", 8, ["a:1", "b:1"], "tpu"),
    ],
)
def test_auto_takes_what_it_finds(kind, count, workers, expected, monkeypatch):
    has(monkeypatch, kind, count)
    if workers:
        set_config(monkeypatch, workers)
    assert strategies._found() == expected


def test_a_named_tpu_is_taken(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "node-1")
    assert strategies._found() == "tpu"


def test_names_give_strategies_of_tf_distribute():
    one = strategies.create_strategy("one-device")
    assert isinstance(one, tf.distribute.OneDeviceStrategy)
    assert strategies.position(one) == (0, 1)
    two = two_replicas()
    assert isinstance(two, tf.distribute.MirroredStrategy)
    assert two.num_replicas_in_sync == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "is not the JSON"),
        ("[]", "is not the JSON"),
        ('{"cluster": {"worker": "a:1"}}', "no 'host:port'"),
        ('{"cluster": {"worker": ["a", "b"]}}', "no 'host:port'"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "none of its workers"),
        ('{"cluster": {"worker": ["a:1", "b:70000"]}}', "no 'host:port', 'b:70000'"),
        ('{"cluster": {"worker": ["a:1", ":1"]}}', "no 'host:port', ':1'"),
        ('{"cluster": {"worker": ["a:1", "b:x"]}}', "no 'host:port', 'b:x'"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}}', "a worker twice, 'a:1'"),
        ('{"cluster": {"workers": ["a:1", "b:1"]}}', "no known name, .'workers'"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}}', "more than one chief"),
        ('{"cluster": {"worker": 3}}', "is not the JSON"),
        ("null", "is not the JSON"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, '
            '"task": {"type": "worker", "index": 0.5}}',
            "no integer, 0.5",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, '
            '"task": {"type": "worker", "index": -1}}',
            "none of its workers",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "none of its workers",
        ),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, '
            '"task": {"type": "ps", "index": 0}}',
            "none of its workers",
        ),
    ],
)
@pytest.mark.parametrize("name", ["auto", "multi-worker"])
def test_a_cluster_that_would_hang_or_crash_is_named(
    config, message, name, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=f"`TF_CONFIG` .*{message}.*Received"):
        strategies.create_strategy(name)


def test_the_chief_comes_first(monkeypatch):
    config = {
        "cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]},
        "task": {"type": "worker", "index": "1"},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert find_cluster() == Cluster(("a:1", "b:1", "c:1"), 2)


def test_what_workers_don_t_share_is_named_with_its_values(monkeypatch):
    def check(*seen):
        texts = [json.dumps({"preset": one}) for one in seen]
        monkeypatch.setattr(strategies, "_gathered", lambda *_: texts)
        monkeypatch.setattr(strategies, "position", lambda _: (0, len(seen)))
        strategies.check_same(None, preset=seen[0])

    check({"seed": 3}, {"seed": 3})
    with pytest.raises(ValueError) as raised:
        check({"seed": 3}, {"seed": 4}, {"seed": 3, "ema": 0.9})
    assert str(raised.value).endswith(
        "differs: `ema` is null in worker 0 and 0.9 in worker 2; "
        "`seed` is 3 in worker 0 and 4 in worker 1"
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "Graph execution error:\n\nDetected at node CollectiveReduceV2 defined at "
            "(most recent call last):\n<stack traces unavailable>\nCollective ops is "
            "aborted by: Connection reset by peer\nThe error could be from a previous "
            "operation.",
            "Collective ops is aborted by: Connection reset by peer",
        ),
        ("Socket closed", "Socket closed"),
        ("", "UnavailableError"),
        (None, "UnavailableError"),
    ],
)
def test_a_lost_worker_s_reason_is_what_happened(message, reason, monkeypatch):
    monkeypatch.setattr(strategies, "position", lambda _: (0, 2))
    with pytest.raises(RuntimeError) as raised:
        with strategies.lost_workers_explained(None):
            raise tf.errors.UnavailableError(None, None, message)
    assert f"Worker 0 of 2 lost the others ({reason}). Start all" in str(raised.value)


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(ValueError, match="`strategy` must be one of"):
        strategies.create_strategy("cluster")
    with pytest.raises(ValueError, match="`strategy` 'multi-worker' needs.*TF_CONFIG"):
        strategies.create_strategy("multi-worker")

    def none(address):
        raise tf.errors.NotFoundError(None, None, "no TPU\nand much more")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", none)
    with pytest.raises(ValueError, match="`strategy` 'tpu' needs a TPU.*no TPU$"):
        strategies.create_strategy("tpu")

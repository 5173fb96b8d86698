"""A run's folder: whose it is, and metrics that survive damage."""

import json

import pytest

from training.__main__ import main
from training.evaluation.generators import step_of
from training.storage.folder import RunFolder

CONFIG = {
    "preset": {"name": "tiny", "steps": 7, "decay_steps": 0, "seed": 0},
    "data": {"images": 21, "digest": "abc"},
}


def changed(part, **values):
    return {**CONFIG, part: {**CONFIG[part], **values}}


def opened(path, config=CONFIG):
    folder = RunFolder(path)
    folder.open(config)
    return folder


def test_equal_runs_have_one_id_which_stays(tmp_path):
    one, other = opened(tmp_path / "one"), opened(tmp_path / "other")
    assert one.id() == other.id()
    longer = changed("preset", steps=9, name="long")
    assert opened(tmp_path / "one", longer).id() == one.id()
    assert opened(tmp_path / "third", longer).id() == one.id()
    for config in (
        changed("preset", seed=1),
        changed("preset", decay_steps=2),
        changed("data", digest="abd"),
    ):
        assert opened(tmp_path / json.dumps(config)[-60:], config).id() != one.id()


def test_other_images_of_the_same_shape_are_refused(tmp_path):
    folder = opened(tmp_path)
    before = folder.config_file.read_bytes()
    with pytest.raises(ValueError, match="differs: the images or the classes' names"):
        folder.open(changed("data", digest="abd"))
    assert folder.config_file.read_bytes() == before


def test_images_that_moved_are_the_same(tmp_path):
    folder = opened(tmp_path, changed("preset", data="here"))
    before = folder.id()
    folder.open(changed("preset", data="there"))
    assert folder.config()["preset"]["data"] == "there"
    assert folder.id() == before
    other = changed("preset", data="here")
    with pytest.raises(ValueError, match="data is 'there' there and 'here' here"):
        folder.check({**other, "data": {"images": 21, "digest": "abd"}})


def test_a_run_that_did_not_know_its_images_gets_to_know_them(tmp_path):
    opened(tmp_path, {**CONFIG, "data": {"images": 21}})
    folder = opened(tmp_path)
    with pytest.raises(ValueError, match="the images or the classes' names"):
        folder.check(changed("data", digest="abd"))


@pytest.mark.parametrize("part", ["preset", "data", "generator"])
@pytest.mark.parametrize("value", [None, [], 3])
def test_a_config_that_is_no_config_is_named(part, value, tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, part: value}))
    with pytest.raises(ValueError, match=f"config.json is damaged: `{part}`"):
        RunFolder(tmp_path).check(CONFIG)
    assert main(["sample", str(tmp_path)]) == 1
    assert "config.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("shape", ["28", ["28", 28, 1], [28, None], {}, []])
def test_a_shape_that_is_none_is_named(shape, tmp_path):
    config = {**CONFIG, "data": {"image_shape": shape}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="is damaged: `image_shape`"):
        RunFolder(tmp_path).config()


def test_files_of_other_names_are_no_checkpoints(tmp_path):
    folder = RunFolder(tmp_path)
    assert step_of(folder) == 0
    folder.checkpoints.mkdir()
    for name in ("step-00000003.npz", "step-00000009.npz.bak", "step-x.npz", "notes"):
        (folder.checkpoints / name).touch()
    (folder.checkpoints / "step-last.npz").mkdir()
    assert step_of(folder) == 3


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "generator.keras"])
def test_a_file_that_is_a_link_is_refused_before_anything_is_written(name, tmp_path):
    folder = opened(tmp_path / "run")
    file, target = folder.path / name, tmp_path / "target"
    target.write_text(json.dumps(CONFIG))
    file.unlink(missing_ok=True)
    file.symlink_to(target)
    with pytest.raises(ValueError, match=f"`run` must be a regular.*{name}, a link"):
        folder.open(CONFIG)
    assert file.is_symlink() and target.read_text() == json.dumps(CONFIG)


DAMAGED = [b"{", b"\xff\xfe", b"5", b"", b'{"loss": 1}', b"[" * 100_000]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_line_costs_no_other(damage, tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.append_metrics({"step": step, "name": "\u2028"})
    lines = folder.metrics_file.read_bytes().split(b"\n")
    lines[1] = damage
    folder.metrics_file.write_bytes(b"\n".join(lines) + b'{"step": 4')
    with pytest.warns(UserWarning, match="metrics.jsonl is damaged in line 2"):
        assert [entry["step"] for entry in folder.metrics()] == [1, 3]
    folder.truncate_metrics(3)
    assert folder.metrics_file.read_bytes() == b"\n".join(lines)
    folder.truncate_metrics(2)
    assert folder.metrics_file.read_bytes() == b"\n".join([*lines[:2], b""])

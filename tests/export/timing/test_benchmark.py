"""The table of times has what it says, and nothing is left out."""

from __future__ import annotations

import json

import pytest

import export
from export import manifests
from export.__main__ import main
from export.timing import benchmark


def test_every_file_is_measured_beside_keras(small_cnn, tmp_path, capsys):
    small_cnn.save(tmp_path / "generator.keras")
    export.export_generator(tmp_path, tmp_path / "out", batch_sizes=[2])
    status = main(
        ["benchmark", str(tmp_path / "out"), "--generator", str(tmp_path)]
        + ["--threads", "1", "--turns", "2", "--json", str(tmp_path / "times.json")]
    )
    assert status == 0
    table = capsys.readouterr().out
    content = json.loads((tmp_path / "times.json").read_text())
    names = [(one["name"], one["precision"]) for one in content["timings"]]
    assert names == [
        ("saved_model", "float32"),
        ("generator-float32.tflite", "float32"),
        ("keras predict", "float32"),
        ("model.export litert", "float32"),
        ("model.export litert", "int8-dynamic"),
    ]
    assert all(name in table for name, _ in names)
    for one in content["timings"]:
        assert one["images_per_second"] == pytest.approx(2e3 / one["milliseconds"])
        assert one["turns"] == 2 and one["fastest"] <= one["milliseconds"]
    assert content["machine"]["cores"] >= 1


@pytest.mark.parametrize("bad", [{"threads": [0]}, {"turns": 0}, {"batch_sizes": [-1]}])
def test_bad_arguments_are_named(tmp_path, bad):
    content = dict.fromkeys(manifests._KEYS, [])
    (tmp_path / "export.json").write_text(json.dumps({**content, "batch_sizes": [1]}))
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}` must be"):
        benchmark.benchmark(tmp_path, **bad)


def test_a_manifest_names_nothing_outside_its_folder(tmp_path):
    content = dict.fromkeys(manifests._KEYS, [])
    for name in ("../secret", "/etc/passwd", ".."):
        content["files"] = [{"file": name}]
        (tmp_path / "export.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match="must name files of its folder"):
            manifests.read(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps({"files": []}))
    with pytest.raises(FileNotFoundError, match="no export of a generator"):
        manifests.read(tmp_path)

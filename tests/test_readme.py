"""Every Python snippet of the README runs as it stands, in the order of the page."""

import re
from pathlib import Path

import keras
import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="`training` is for TensorFlow"
)
def test_the_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 3
    names = {}
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert names["samples"].shape == (4, 32, 32, 1)
    assert (tmp_path / "gan.keras").stat().st_size > 0


def test_the_files_that_it_links_to_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (README.parent / link).exists()] == []

"""What the documentation says is so: snippets run, links lead somewhere."""

import ast
import importlib
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from sn_keras import SpectralNormalization

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [
    path
    for package in ("sn_keras", "training", "export")
    for path in sorted((ROOT / package).rglob("*.py"))
]
# A snippet that can't run here has this line above it, with what it would need.
NOT_RUN = "<!-- not run: "
SNIPPET = re.compile(r"^( *)```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def snippets(text):
    """The Python snippets of a page or docstring that can be run."""
    for match in SNIPPET.finditer(text):
        above = text[: match.start()].rstrip().rpartition("\n")[2]
        if NOT_RUN not in above:
            indent = len(match[1])
            lines = match[2].splitlines(keepends=True)
            yield "".join(line[indent:] if line.strip() else line for line in lines)


def given():
    """The names that a docstring's example may take as given."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (64, 32, 32, 3)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            SpectralNormalization(keras.layers.Conv2D(4, 4, strides=4)),
            keras.layers.Flatten(),
            SpectralNormalization(keras.layers.Dense(1)),
        ]
    )
    return {
        "keras": keras,
        "np": np,
        "images": images,
        "labels": random.integers(0, 10, 64),
        "latents": random.normal(size=(64, 128)).astype("float32"),
        "x": images,
        "model": model,
        "discriminator": model,
        **{name: row for name, row in zip(("cat", "dog"), np.eye(10), strict=False)},
    }


def files(folder):
    """The files that an example may take as given."""
    (folder / "runs" / "a" / "samples").mkdir(parents=True)
    latents = keras.Input((128,))
    x = keras.layers.Dense(8 * 8 * 3, activation="tanh")(latents)
    generator = keras.Model(latents, keras.layers.Reshape((8, 8, 3))(x))
    generator.save(folder / "runs" / "a" / "generator.keras")
    (folder / "photographs").mkdir()
    for number, pixels in enumerate(given()["images"][:4]):
        path = folder / "photographs" / f"{number}.png"
        keras.utils.save_img(path, pixels)


def docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield getattr(node, "name", path.stem), text


EXAMPLES = [
    pytest.param(path, code, id=f"{path.relative_to(ROOT)}:{name}")
    for path in MODULES
    for name, text in docstrings(path)
    for code in snippets(text)
]


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_snippets_of_a_page_run_in_its_order(path, tmp_path, monkeypatch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("`training` and `export` are for TensorFlow")
    files(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in snippets(path.read_text(encoding="utf-8")):
        exec(compile(snippet, path.name, "exec"), names)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "code"), EXAMPLES)
def test_the_example_of_a_docstring_runs(path, code, tmp_path, monkeypatch):
    if (
        path.is_relative_to(ROOT / "sn_keras")
        or keras.backend.backend() == "tensorflow"
    ):
        files(tmp_path)
        monkeypatch.chdir(tmp_path)
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        # As doctest does: a module's example has the module's own names.
        found = importlib.import_module(module.removesuffix(".__init__"))
        public = {name: getattr(found, name) for name in getattr(found, "__all__", ())}
        exec(compile(code, path.name, "exec"), {**given(), **vars(found), **public})
    else:
        pytest.skip("`training` and `export` are for TensorFlow")


def test_there_are_examples():
    assert len(EXAMPLES) >= 15


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_page_links_to_are_there(path):
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and "HOST" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_examples_are_in_one_style():
    text = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    assert ">>> " not in text


@pytest.mark.parametrize(
    ("package", "page"),
    [
        ("sn_keras", "sn_keras"),
        ("training", "training"),
        ("training.evaluation", "evaluation"),
        ("export", "export"),
    ],
)
def test_the_reference_has_every_public_name(package, page):
    if package != "sn_keras" and keras.backend.backend() != "tensorflow":
        pytest.skip("`training` and `export` are for TensorFlow")
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text(encoding="utf-8")
    listed = {
        line.rpartition(".")[2] for line in text.splitlines() if line[:4] == "::: "
    }
    assert set(importlib.import_module(package).__all__) <= listed

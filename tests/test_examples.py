"""Each file of examples/ runs from the command line, in small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PRINTS = {
    "own_gan": "own-gan/",
    "classifier": "Lipschitz bound: ",
    "sn_on_jax": "after 201 steps",
    "sngp_classifier": "Picture: sngp.png",
    "invertible_block": "largest error",
    "certified_classifier": "right under attack",
    "patch_discriminator": "Logits of shape (None, 8, 8, 1)",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="each sets its own backend"
    ),
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, tmp_path):
    # As from a checkout, whose root `-m` finds packages in; what it draws stays here.
    for name in ("examples", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        "KERAS_BACKEND": "jax" if path.stem.endswith("jax") else "tensorflow",
        "PYTHONWARNINGS": "",
    }
    process = subprocess.run(
        [sys.executable, "-m", f"examples.{path.stem}", "--small"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert process.returncode == 0, process.stderr
    assert PRINTS[path.stem] in process.stdout


def test_the_notebook_is_the_script():
    path = ROOT / "examples" / "own_gan.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells)
    script = path.with_suffix(".py").read_text(encoding="utf-8")

    def lines(text):
        return [line for line in text.splitlines() if line.strip()]

    assert lines(code) == lines(script)
    assert not any(cell.get("outputs") for cell in cells)

"""The page, in a headless browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import export
from export.errors import ConversionError
from export.web import runtime as litert_js
from export.web.page import write_page
from tests.export import chromium, networks, test_manifest

needs_browser = pytest.mark.skipif(
    chromium.EXECUTABLE is None, reason="no chromium (apt-get install chromium)"
)
DRAWN = "document.getElementById('controls')?.disabled === false"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """LiteRT.js, fetched once; the tests are skipped where npm can't fetch it."""
    if shutil.which("npm") is None:
        pytest.skip("no npm")
    try:
        return litert_js.install(str(tmp_path_factory.mktemp("npm")))
    except (ConversionError, subprocess.SubprocessError) as error:
        pytest.skip(f"npm can't fetch LiteRT.js: {error}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("web") / "export"
    model = networks.conditional_resnet(size=8, classes=3)
    export.export_generator(model, path, formats=["litert"], batch_sizes=[1, 4])
    return path


@pytest.fixture(scope="module")
def page(folder, runtime):
    return write_page(folder, runtime=runtime)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@needs_browser
def test_images_equal_those_of_python(page, folder, browser):
    latents = np.random.default_rng(3).normal(size=(6, 16)).astype("float32")
    labels = np.array([0, 1, 2, 2, 1, 0], "int32")
    with chromium.served(page) as address:
        browser.open(address)
        browser.wait_for(DRAWN)
        drawn = browser.evaluate(
            f"""import('./page.js').then(({{ready}}) => ready).then((generator) =>
            generator.generate(
                Float32Array.from({latents.ravel().tolist()}),
                Int32Array.from({labels.tolist()}))).then((a) => Array.from(a))"""
        )
    interpreter = Interpreter(str(folder / "generator-float32.tflite"))
    runner = interpreter.get_signature_runner("batch_1")
    expected = [
        runner(latents=latents[i : i + 1], labels=labels[i : i + 1])["images"]
        for i in range(6)
    ]
    # Another order of summation and no more.
    np.testing.assert_allclose(drawn, np.concatenate(expected).ravel(), atol=1e-5)


@needs_browser
def test_a_grid_is_drawn_and_the_controls_work_by_keyboard(page, browser):
    pixels = "document.getElementById('%s').toDataURL()"
    status = "document.getElementById('status').textContent"
    with chromium.served(page) as address:
        browser.open(address, width=360, height=640)
        browser.wait_for(DRAWN)
        assert "ms per image" in browser.evaluate(status)
        size = browser.evaluate("document.getElementById('samples').width")
        assert size == 4 * 8
        options = browser.evaluate("document.getElementById('class').options.length")
        assert options == 1 + 3
        # On a phone nothing sticks out to the side.
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        for control, key, code, canvas in (
            ("position", "ArrowRight", 39, "between"),
            ("truncation", "ArrowLeft", 37, "samples"),
            ("seed", "ArrowUp", 38, "samples"),
        ):
            before = browser.evaluate(pixels % canvas)
            browser.evaluate(f"document.getElementById('{control}').focus()")
            for _ in range(40):
                browser.press(key, code)
            browser.wait_for(f"{pixels % canvas} !== '{before}'")
        focused = browser.evaluate(
            "(document.getElementById('save').focus(), document.activeElement.id)"
        )
        assert focused == "save"


@needs_browser
def test_the_saved_png_is_the_grid(page, browser):
    with chromium.served(page) as address:
        browser.open(address)
        browser.wait_for(DRAWN)
        saved = browser.evaluate(
            """new Promise((resolve) => {
              HTMLAnchorElement.prototype.click = function () {
                resolve([this.download, this.href.slice(0, 22)]);
              };
              document.getElementById('save').click();
            })"""
        )
    assert saved == ["samples-1.png", "data:image/png;base64,"]


@needs_browser
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "generator.tflite is missing on the server (404)"),
        (lambda path: path.write_bytes(b"TFL3"), "generator.tflite can't be read"),
    ],
)
def test_a_bad_model_file_gives_a_readable_message(
    page, browser, tmp_path, damage, message
):
    copy = shutil.copytree(page, tmp_path / "page")
    damage(copy / "generator.tflite")
    with chromium.served(copy) as address:
        browser.open(address)
        text = browser.wait_for("document.querySelector('#status.error')?.textContent")
    assert message in text


@needs_browser
def test_latents_are_normal_and_truncated(page, browser):
    with chromium.served(page) as address:
        browser.open(address)
        browser.wait_for(DRAWN)
        values = {
            cut: np.array(
                browser.evaluate(
                    f"import('./latents.js').then((m) => "
                    f"Array.from(m.normal(5, 20000, {cut})))"
                )
            )
            for cut in ("Infinity", "1", "0.1", "0")
        }
    assert abs(values["Infinity"].mean()) < 0.03
    assert abs(values["Infinity"].std() - 1) < 0.03
    # The standard deviation of a normal distribution cut off at ±1.
    assert abs(values["1"].std() - 0.5396) < 0.02
    for cut in ("1", "0.1", "0"):
        assert abs(values[cut]).max() <= float(cut) * (1 + 1e-6)


@needs_browser
def test_a_strict_content_security_policy_lets_it_work(page, browser):
    policy = "script-src 'self' 'wasm-unsafe-eval'"
    with chromium.served(page, Content_Security_Policy=policy) as address:
        browser.open(address)
        browser.wait_for(DRAWN)
        # And the page's own keeps other servers, and code in the page, out.
        refused = """new Promise((resolve) => {
          addEventListener(
            'securitypolicyviolation', (event) => resolve(event.violatedDirective));
          %s
        })"""
        inline = "document.body.append(Object.assign(document.createElement('script'),"
        inline += "{textContent: 'window.ran = true'}));"
        assert browser.evaluate(refused % inline).startswith("script-src")
        other = "fetch('https://example.com/').catch(() => {});"
        assert browser.evaluate(refused % other) == "connect-src"
        assert not browser.evaluate("window.ran ?? false")


@pytest.mark.slow
def test_there_is_no_inline_script(page):
    text = (page / "index.html").read_text()
    assert set(re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)) == {""}
    assert not re.search(r"\son\w+=", text)
    # Nor a name that an import map would have to explain.
    for path in page.rglob("*.js"):
        assert "@litertjs" not in " ".join(
            re.findall(r"""^\s*import .* from ['"](.*)['"]""", path.read_text(), re.M)
        )


@needs_browser
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 10**8}, "num_classes can't be 100000000"),
        ({"image_shape": [10**6, 10**6, 3]}, "image_shape can't be"),
        ({"model": "https://example.com/x.tflite"}, "model can't be"),
        ({"batch_sizes": [10**9]}, "batch_sizes can't be"),
        ({"latent_dim": None}, "latent_dim can't be null"),
        ({"psnr": "<b>"}, "psnr can't be"),
    ],
)
def test_a_hostile_description_is_refused(page, browser, tmp_path, change, message):
    copy = shutil.copytree(page, tmp_path / "page")
    told = json.loads((copy / "page.json").read_text())
    (copy / "page.json").write_text(json.dumps({**told, **change}))
    with chromium.served(copy) as address:
        browser.open(address)
        text = browser.wait_for("document.querySelector('#status.error')?.textContent")
    assert f"page.json is damaged: {message}" in text


@needs_browser
def test_a_script_that_is_missing_is_said(page, browser, tmp_path):
    copy = shutil.copytree(page, tmp_path / "page")
    (copy / "page.js").unlink()
    with chromium.served(copy) as address:
        browser.open(address)
        text = browser.wait_for("document.querySelector('#status.error')?.textContent")
    assert "A script of this page is missing" in text
    browser.open((copy / "index.html").as_uri())
    text = browser.wait_for("document.querySelector('#status.error')?.textContent")
    assert "Open this page from a web server" in text


@needs_browser
@pytest.mark.filterwarnings("ignore:.*Please consider providing the trackable")
def test_bytes_follow_the_range_and_the_channels(browser, runtime, tmp_path):
    inputs = keras.Input((4,))
    x = layers.Reshape((4, 4, 4))(layers.Dense(64, activation="sigmoid")(inputs))
    # Whatever the latents are: red 0.2, green 0.4, blue 0.6, and opaque.
    colour = layers.Rescaling(0.0, offset=[0.2, 0.4, 0.6, 1.0])
    constant = keras.Model(inputs, colour(x))
    export.export_generator(
        constant,
        tmp_path / "out",
        formats=["litert"],
        batch_sizes=[16],
        output_range=(0, 1),
    )
    with chromium.served(write_page(tmp_path / "out", runtime=runtime)) as address:
        browser.open(address)
        browser.wait_for(DRAWN)
        pixel = browser.evaluate(
            "Array.from(document.getElementById('samples').getContext('2d')"
            ".getImageData(5, 5, 1, 1).data)"
        )
    assert pixel == [51, 102, 153, 255]


def test_a_file_that_was_cut_short_is_not_published(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "export", ignore=_no_page)
    path = copy / "generator-float32.tflite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"generator-float32.tflite \(changed\)"):
        write_page(copy, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def _no_page(folder, names):
    return {"web"} & set(names)


def test_the_page_says_what_it_shows(page):
    described = json.loads((page / "page.json").read_text())
    assert described["file"] == "generator-float32.tflite"
    assert described["num_classes"] == 3


def test_an_export_without_that_file_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="`precision` 'float16'.*'float32'"):
        write_page(folder, tmp_path / "page", precision="float16")
    assert not (tmp_path / "page").exists()


def test_images_too_large_for_a_page_are_refused(tmp_path):
    test_manifest.written(tmp_path, image_shape=[2048, 1024, 3])
    with pytest.raises(ValueError, match="up to 1048576 pixels. Received: 2048 x 1024"):
        write_page(tmp_path)
    assert not (tmp_path / "web").exists()


def test_without_npm_the_error_says_what_to_do(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConversionError, match="--runtime"):
        write_page(folder, tmp_path / "page")

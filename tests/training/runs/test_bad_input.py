"""Random bad inputs: each is named, none reaches TensorFlow, no file changes.

The suite tries some three hundred, the same each time. `SOAK=4 python -m pytest
tests/training/runs/test_bad_input.py` tries over a thousand, others each time.
"""

import collections
import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import signal
import traceback

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sn_keras import SpectralNormalization
from tests.training import toys
from training import GAN
from training.__main__ import main
from training.data import ArraySource, make_dataset
from training.devices.launch import launch
from training.normalizers import NORMALIZERS
from training.runs import checks, fit
from training.runs.options import RunOptions
from training.runs.paper import PRESETS
from training.runs.preset import SETTINGS, Preset

SOAK = int(os.environ.get("SOAK", "1"))
# Seconds that a call may take.
_PATIENCE = 20


def tried(times):
    return settings(
        max_examples=times * SOAK,
        deadline=None,
        derandomize=SOAK == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@contextlib.contextmanager
def in_time():
    def late(number, frame):
        raise AssertionError(f"It took over {_PATIENCE} s.")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Inputs that were refused, by the test that they were tried in.
TRIED = collections.Counter()


def count():
    TRIED[os.environ["PYTEST_CURRENT_TEST"].split()[0]] += 1


# Values by what is wrong with them.
NOT_COUNTS = st.one_of(
    st.integers(max_value=0),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.just(()),
    st.just(np.zeros(2)),
)
NOT_NUMBERS = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.floats(max_value=-1e-6),
    st.text(max_size=5),
    st.lists(st.floats(), max_size=2),
)


def words(*known):
    known = {str(one).lower() for one in known}
    letters = st.text("abcdefghij-_ 0123456789", min_size=1, max_size=12)
    return letters.filter(lambda x: x.strip().lower() not in known and x[0] != "-")


def texts(values):
    """What a user may type for a value."""
    odd = st.sampled_from(["", "x", "1e", "0x10", "٣٫٥", "1,000"])
    return st.one_of(values.map(str), odd)


def no_integers(values):
    return values.filter(lambda text: not is_integer(text))


def is_integer(text):
    try:
        int(text)
    except ValueError:
        return False
    return True


def out_of(low, high, open_low=False):
    """Numbers that are not in [low, high), or not in (low, high]."""
    below = st.floats(max_value=low, exclude_max=not open_low)
    above = st.floats(min_value=high, exclude_min=open_low)
    return st.one_of(below, above, st.sampled_from([math.nan, math.inf, -math.inf]))


def no_none(text):
    return text.lower() != "none"


def not_a_count(text):
    return int(text) < 1 if is_integer(text) else text.lower() != "none"


# More than any memory holds, or than TensorFlow counts to.
HUGE = st.sampled_from([10**10, 10**18, 10**30]).map(str)
COUNTS = (
    "steps batch-size image-size latent-dim discriminator-steps generator-batch-size "
    "log-every sample-every samples checkpoint-every keep steps-per-execution "
    "spectra-every score-every score-images worker-timeout"
).split()
FIT = {
    **{name: texts(NOT_COUNTS).filter(not_a_count) | HUGE for name in COUNTS},
    "learning-rate": out_of(0, 10, open_low=True).map(str),
    "width-multiplier": out_of(0, 64, open_low=True).map(str),
    "beta-1": out_of(0, 1).map(str),
    "beta-2": out_of(0, 1).map(str),
    "ema": out_of(0, 1).map(str),
    "gradient-penalty": st.one_of(
        st.sampled_from(["nan", "inf", "-inf", "-1", "much"]),
        st.floats(max_value=-1e-9).map(str),
    ),
    "decay-steps": st.one_of(
        st.integers(max_value=-1).map(str),
        st.integers(min_value=100_001).map(str),
        no_integers(words()),
    ),
    "seed": st.one_of(
        st.integers(max_value=-1).map(str),
        st.integers(min_value=2**31).map(str),
        no_integers(words()),
        st.floats().map(str),
    ),
    "preset": words(*PRESETS),
    "network": words("cnn", "resnet"),
    "normalizer": words(*NORMALIZERS),
    "loss": words("hinge", "standard", "wasserstein"),
    "conditioning": words("none", "projection", "concat", "auxiliary"),
    "setting": words(*SETTINGS),
    "precision": words("float32", "mixed_bfloat16"),
    "data": words("mnist5k", "mnist", "cifar10", "stl10", "imagenet").map(
        "./no-{}".format
    ),
    "strategy": words("auto", "one-device", "mirrored", "multi-worker", "tpu"),
    "jit": words("auto", "on", "off"),
    "on-nan": words("stop", "rollback"),
    "synchronized": words("true", "false", "yes", "no"),
    "inception": words().map("./no-{}".format),
    "no-such-option": st.text(max_size=3),
    # A file, what no path can be, and folders that nobody can make.
    "run": st.sampled_from([__file__, "\0", "x" * 300, f"{__file__}/run", "tests"]),
}


def tree(path):
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        found.update(f"{file.relative_to(path)} {file.stat().st_mtime_ns}".encode())
        if file.is_file():
            found.update(file.read_bytes())
    return found.hexdigest()


def refused(arguments):
    """Runs a command that must fail, and returns what it says."""
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            with in_time():
                code = main(arguments)
        except SystemExit as ended:
            code = ended.code
    text = error.getvalue()
    count()
    assert code in (1, 2), (code, text)
    last = text.strip().splitlines()[-1]
    assert "error: " in last, text
    assert "Traceback" not in text and "tensorflow/" not in text
    return last


def names(message, option):
    field = option.replace("-", "_")
    return f"--{option}" in message or f"`{field}`" in message


@pytest.mark.slow
@tried(110)
@given(st.data())
def test_options_of_fit(finished, data):
    bad = data.draw(
        st.lists(st.sampled_from(sorted(FIT)), min_size=1, max_size=3, unique=True)
    )
    if "inception" in bad and "score-every" not in bad:
        bad_values = {"score-every": "5"}  # without it the file is not asked for
    else:
        bad_values = {}
    bad_values |= {name: data.draw(FIT[name], label=name) for name in bad}
    run = data.draw(st.sampled_from([finished, finished.parent / "new"]))
    if run != finished or "run" in bad:
        bad_values.setdefault("preset", "mnist-demo")
    before = tree(finished.parent)
    message = refused(
        ["fit"]
        + [f"--{name}={value}" for name, value in {"run": run, **bad_values}.items()]
    )
    assert any(names(message, option) for option in bad), message
    assert tree(finished.parent) == before


OTHERS = {
    "sample": {
        "count": texts(NOT_COUNTS).filter(not_a_count).filter(no_none) | HUGE,
        "per-class": st.integers().map(str),
        "seed": no_integers(words()) | st.integers(max_value=-1).map(str),
        "labels": words().filter(lambda x: not x.replace(",", "").isdecimal()),
        "truncation": NOT_NUMBERS.map(str).filter(lambda x: x[:1] in "-ni"),
        "weights": words("last", "ema", "best", "ema-best") | st.just("best"),
        "run": st.just("./no-run"),
    },
    "evaluate": {
        "extractor": words("auto", "inception", "classifier").map("./no-{}".format),
        "protocol": words("paper", "50k"),
        "n-real": texts(st.integers(max_value=1)),
        "n-fake": texts(st.integers(max_value=1)),
        "splits": texts(st.integers(max_value=0)),
        "split-size": texts(st.integers(max_value=1)),
        "weights": words("last", "ema", "best", "ema-best"),
        "batch-size": no_integers(words()) | HUGE,
        "run": st.just("./no-run"),
    },
    "presets": {"name": words(*PRESETS)},
    "compare": {"run": st.just("./no-run")},
    "classifier": {
        "classifier-seed": no_integers(words()),
        "run": st.just("./no-run"),
    },
    "launch": {"workers": texts(NOT_COUNTS).filter(not_a_count)},
    "experiment": {"name": words()},
}
POSITIONAL = {"run", "name"}


@pytest.mark.slow
@tried(45)
@given(st.data())
def test_options_of_other_commands(finished, data):
    command = data.draw(st.sampled_from(sorted(OTHERS)))
    option = data.draw(st.sampled_from(sorted(OTHERS[command])))
    value = data.draw(OTHERS[command][option])
    if option in POSITIONAL:
        arguments = [command, value]
    elif command == "launch":
        arguments = [command, f"--{option}={value}", "--", "presets"]
    else:
        arguments = [command, str(finished), f"--{option}={value}"]
    before = tree(finished.parent)
    message = refused(arguments)
    said = {"name": ("preset", "NAME", "name"), "run": ("run", "RUN")}.get(option, ())
    field = option.replace("-", "_")
    assert any(word in message for word in (f"--{option}", f"`{field}`", *said)), (
        message
    )
    assert tree(finished.parent) == before


def fails(name, call):
    """Calls what must be refused with the argument's name, by this project's code."""
    with pytest.raises((ValueError, TypeError)) as raised, in_time():
        call()
    count()
    message = str(raised.value)
    assert f"`{name}`" in message, message
    assert "Received" in message, message
    innermost = traceback.extract_tb(raised.value.__traceback__)[-1].filename
    assert "/tensorflow/" not in innermost, innermost


PRESET_FIELDS = {
    **{
        name: NOT_COUNTS
        for name in (
            "image_size latent_dim batch_size discriminator_steps steps "
            "generator_batch_size"
        ).split()
    },
    **{
        name: NOT_NUMBERS
        for name in (
            "learning_rate width_multiplier beta_1 beta_2 ema gradient_penalty "
            "decay_steps seed"
        ).split()
    },
    "precision": st.one_of(words("float32", "mixed_bfloat16"), st.integers()),
    "setting": st.one_of(words(*SETTINGS), st.integers(), st.none()),
    "synchronized": st.one_of(words(), st.integers(), st.none()),
    "network": st.one_of(st.integers(), st.none()),
    "normalizer": st.one_of(st.integers(), st.none()),
    "loss": st.one_of(st.integers(), st.none()),
    "conditioning": st.integers(),
    "data": st.one_of(st.integers(), st.none(), st.just("")),
}


@tried(30)
@given(st.data())
def test_fields_of_presets(data):
    name = data.draw(st.sampled_from(sorted(PRESET_FIELDS)))
    value = data.draw(PRESET_FIELDS[name], label=name)
    fails(name, lambda: checks.preset(Preset("bad", "", **{name: value})))


OPTION_FIELDS = {
    **{
        name: NOT_COUNTS
        for name in (
            "steps_per_execution log_every sample_every samples checkpoint_every keep "
            "spectra_every score_every score_images worker_timeout"
        ).split()
    },
    "strategy": st.one_of(words("auto", "mirrored", "tpu"), st.none(), st.integers()),
    "jit": st.one_of(words("auto", "on", "off"), st.none(), st.integers()),
    "on_nan": st.one_of(words("stop", "rollback"), st.none(), st.integers()),
    "inception": st.one_of(st.integers(), st.just("")),
}


def test_a_score_rests_on_two_images_or_more():
    fails("score_images", lambda: checks.options(RunOptions(score_images=1), 7))


@tried(20)
@given(st.data())
def test_fields_of_run_options(data):
    name = data.draw(st.sampled_from(sorted(OPTION_FIELDS)))
    value = data.draw(OPTION_FIELDS[name], label=name)
    fails(name, lambda: checks.options(RunOptions(**{name: value}), 7))


@pytest.fixture(scope="module")
def parts():
    return toys.generator(), toys.discriminator()


GAN_ARGUMENTS = {
    "latent_dim": NOT_COUNTS,
    "discriminator_steps": NOT_COUNTS,
    "generator_batch_size": NOT_COUNTS,
    "num_classes": NOT_COUNTS,
    "discriminator_call": st.one_of(words("auto", "joint", "separate"), st.none()),
    "seed": st.one_of(st.floats(), st.text(max_size=4), st.none(), st.booleans()),
    "generator": st.one_of(st.none(), st.integers(), words()),
    "discriminator": st.one_of(st.none(), st.integers(), words()),
}
COMPILE_ARGUMENTS = {
    "loss": st.one_of(words("hinge", "standard", "wasserstein"), st.none()),
    "gradient_penalty": st.one_of(words(), st.just([]), st.just(True)),
    "generator_optimizer": st.one_of(st.none(), st.integers(), words("sgd", "adam")),
    "discriminator_optimizer": st.one_of(st.none(), st.integers(), words("sgd")),
    "classifier_weights": st.one_of(st.none(), st.integers(), st.just((1.0,))),
    "steps_per_execution": NOT_COUNTS,
    "jit_compile": st.one_of(words("auto"), st.none(), st.floats(2, 3)),
}


@tried(20)
@given(st.data())
def test_arguments_of_a_gan(parts, data):
    name = data.draw(st.sampled_from(sorted(GAN_ARGUMENTS | COMPILE_ARGUMENTS)))
    networks = {"generator": parts[0], "discriminator": parts[1]}
    if name in GAN_ARGUMENTS:
        value = data.draw(GAN_ARGUMENTS[name], label=name)
        options = {**networks, "latent_dim": toys.LATENT, name: value}
        fails(name, lambda: GAN(**options))
        return
    value = data.draw(COMPILE_ARGUMENTS[name], label=name)
    gan = GAN(**networks, latent_dim=toys.LATENT)
    options = {"generator_optimizer": "sgd", "discriminator_optimizer": "sgd"}
    fails(name, lambda: gan.compile(**{**options, name: value}))


SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)


@pytest.fixture(scope="module")
def gan(parts):
    made = GAN(*parts, latent_dim=toys.LATENT, discriminator_steps=2)
    made.compile("sgd", "sgd")
    return made


@tried(20)
@given(st.data())
def test_images_for_a_gan(gan, data):
    kind = data.draw(
        st.sampled_from(["shape", "dtype", "range", "type", "option", "generate"])
    )
    good = toys.images(8)
    if kind == "option":
        name = data.draw(st.sampled_from(["batch_size", "epochs", "steps_per_epoch"]))
        value = data.draw(NOT_COUNTS)
        fails(name, lambda: gan.fit(good, verbose=0, **{name: value}))
        return
    if kind == "generate":
        options = data.draw(
            st.sampled_from(
                [("count", 0), ("count", "4"), ("seed", 0.5), ("labels", [0, 1])]
            )
        )
        fails(options[0], lambda: gan.generate(**{"count": 2, options[0]: options[1]}))
        return
    if kind == "shape":
        shape = data.draw(SHAPES)
        assume(shape[1:] != good.shape[1:] or shape[0] < 2)
        bad = np.zeros(shape, "float32")
    elif kind == "dtype":
        dtype = data.draw(
            st.sampled_from(["int32", "uint8", "bool", "str", "complex64"])
        )
        bad = np.zeros(good.shape, dtype)
    elif kind == "range":
        at = data.draw(st.sampled_from([math.nan, math.inf, 2.0, -255.0]))
        bad = good.copy()
        bad[3, 1, 2, 0] = at
    else:
        bad = data.draw(st.sampled_from([None, [[1.0]], "images", 3, {"x": 1}]))
    fails("x", lambda: gan.fit(bad, batch_size=1, verbose=0))


@tried(20)
@given(st.data())
def test_data_layers_and_runs(data):
    kind = data.draw(st.sampled_from(["dataset", "source", "layer", "launch", "run"]))
    if kind == "launch":
        value = data.draw(NOT_COUNTS)
        fails("workers", lambda: launch(["true"], value))
    elif kind == "run":
        name = data.draw(st.sampled_from(["run", "preset", "options"]))
        value = data.draw(st.one_of(st.integers(), st.floats(), st.just([])))
        given = {"run": "no-run", "preset": Preset("new", ""), "options": None}
        given[name] = value
        fails(name, lambda: fit.fit(*given.values()))
    elif kind == "dataset":
        source = ArraySource(np.zeros((4, 2, 2, 1), np.uint8))
        name = data.draw(
            st.sampled_from(["batch_size", "seed", "start", "num_workers"])
        )
        value = data.draw(
            st.one_of(st.integers(max_value=-1), st.floats(), words(), st.none())
        )
        options = {"batch_size": 4, "seed": 0, name: value}
        fails(name, lambda: make_dataset(source, **options))
    elif kind == "source":
        shape = data.draw(SHAPES)
        assume(len(shape) != 4 or 0 in shape or shape[-1] not in (1, 3))
        fails("images", lambda: ArraySource(np.zeros(shape, np.uint8)))
    else:
        value = data.draw(NOT_COUNTS)
        layer = keras.layers.Dense(2)
        fails(
            "power_iterations",
            lambda: SpectralNormalization(layer, power_iterations=value),
        )


# What a config.json may have become.
DAMAGES = st.one_of(
    st.sampled_from(["", "{", "[]", "null", "7", '"a"', "{}", "\x00"]),
    st.sampled_from([{"preset": None}, {"preset": []}, {"preset": {}}, {"options": 3}]),
    st.tuples(
        st.sampled_from(sorted(set(PRESET_FIELDS) - {"conditioning", "setting"})),
        st.sampled_from([{}, [], "\0", [None]]),
    ).map(lambda field: {"preset": {field[0]: field[1]}}),
    words().map(lambda name: {"preset": {name: 1}}),
)


@tried(15)
@given(damage=DAMAGES)
def test_a_config_that_was_damaged(tmp_path_factory, finished, damage):
    run = tmp_path_factory.mktemp("damaged") / "run"
    run.mkdir()
    text = damage
    if isinstance(damage, dict):
        config = json.loads((finished / "config.json").read_text())
        for part, value in damage.items():
            whole = isinstance(value, dict) and value
            config[part] = {**config[part], **value} if whole else value
        text = json.dumps(config)
    (run / "config.json").write_text(text)
    before = tree(run)
    message = refused(["fit", "--run", str(run)])
    assert "config.json" in message or "Received" in message, message
    assert tree(run) == before
    shutil.rmtree(run)


def test_there_were_enough():
    if len(TRIED) < 8:
        pytest.skip("needs all tests of this file")
    assert sum(TRIED.values()) >= 250 * SOAK

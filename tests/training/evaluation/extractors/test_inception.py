"""The Inception extractor, end to end against torch-fidelity, from every kind of file.

The published weights can't be had here: the fixtures are torch-fidelity's results with
random weights in the same structure.
"""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tests.training.evaluation import formulas
from training.evaluation.extractors.inception import InceptionExtractor, preprocess
from training.evaluation.extractors.inception_network import inception_network
from training.evaluation.extractors.inception_weights import load_state
from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.inception_score import inception_score


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory, request):
    """The random weights as an .npz file."""
    reference = request.getfixturevalue("reference")["inception"]
    path = tmp_path_factory.mktemp("inception") / "inception.npz"
    np.savez(path, **formulas.inception_state(reference["shapes"]))
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*covariance is singular")
def test_equals_torch_fidelity_from_uint8_images_to_scores(weights_file, reference):
    expected = reference["inception"]
    extractor = InceptionExtractor(weights_file)
    real, _ = extractor(formulas.images(5, 6))
    fake, logits = extractor(formulas.images(6, 6))
    assert fake.shape == (6, 2048) and logits.shape == (6, 1008)

    def error(actual, expected):
        return np.abs(actual - expected).max() / np.abs(expected).max()

    assert error(fake[:, ::64], np.array(expected["features_every_64th"])) < 5e-6
    assert error(logits[:, ::64], np.array(expected["logits_every_64th"])) < 5e-6
    assert frechet_distance(real, fake) == pytest.approx(expected["frechet"], rel=1e-5)
    score = inception_score(logits, splits=1).mean
    assert score == pytest.approx(expected["inception_score"], rel=1e-6)
    assert extractor.identity.startswith("inception-2015-12-05 inception.npz sha256:")


def test_resize_is_tensorflow_1s():
    """Twice as large: samples at i/2, without half-pixel centres, the edge repeated."""
    ramp = np.arange(0, 250, 10, dtype=np.uint8)[None, None, :, None]
    image = tf.constant(np.broadcast_to(ramp, (1, 23, 25, 3)).copy())
    positions = np.minimum(np.arange(299) * np.float32(25 / 299), 24)
    expected = (10 * positions - 128) / 128
    row = preprocess(image)[0, 100, :, 1]
    np.testing.assert_allclose(row, expected, atol=1e-5)


def test_missing_file_says_where_the_weights_are(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        InceptionExtractor(tmp_path / "none.pth")
    message = str(caught.value)
    assert "weights-inception-2015-12-05-6726825d.pth" in message
    assert "classify_image_graph_def.pb" in message and "--inception" in message


def test_a_download_cut_short_is_noticed_by_its_name(tmp_path):
    path = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    path.write_bytes(b"half a file")
    with pytest.raises(ValueError, match="must start with 6726825d"):
        InceptionExtractor(path)
    digest = hashlib.sha256(b"half a file").hexdigest()[:8]
    whole = path.rename(tmp_path / f"weights-{digest}.pth")
    with pytest.raises((ValueError, ImportError), match=r"needs torch|can't be read"):
        InceptionExtractor(whole)


@pytest.mark.slow
def test_other_files_are_refused(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"\.pth, \.npz or \.pb"):
        InceptionExtractor(path)
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="must have the entry 'Conv2d_1a_3x3"):
        InceptionExtractor(tmp_path / "other.npz")
    (tmp_path / "graph.pb").write_bytes(b"\x0a\xffcut short")
    with pytest.raises(ValueError, match="frozen TensorFlow graph"):
        InceptionExtractor(tmp_path / "graph.pb")
    (tmp_path / "graph.pb").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must have the nodes .*'Mul'"):
        InceptionExtractor(tmp_path / "graph.pb")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="SavedModel"):
        InceptionExtractor(tmp_path / "folder")


@pytest.mark.slow
def test_state_must_fit(reference):
    network = inception_network()
    shapes = reference["inception"]["shapes"]
    state = {key: np.zeros(1) for key in formulas.inception_state(shapes)}
    with pytest.raises(ValueError, match="must fit the layer 'Conv2d_1a_3x3'"):
        load_state(network, state | {"Conv2d_1a_3x3.conv.weight": np.ones((1,) * 4)})


def toy_features(images):
    """What stands for the network in the graph files: 2 features, 3 logits."""
    pooled = tf.reduce_mean(images, axis=[1, 2], keepdims=True)[..., :2]
    return pooled, tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def expected_of_toy(images):
    features, weights = toy_features(preprocess(tf.constant(images)))
    features = features.numpy().reshape(-1, 2)
    return features, features @ weights.numpy()


def frozen_graph(path, fixed_batch):
    """A graph with the node names of 2015's, or of TF-GAN's."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, 299, 299, 3], name="input")
        scaled = tf.multiply(images, 1.0, name="Mul")
        pooled, weights = toy_features(scaled)
        pooled = tf.identity(pooled, name="pool_3")
        if fixed_batch:
            row = tf.reshape(pooled, [1, 2], name="pool_3/_reshape")
            tf.matmul(row, weights, name="softmax/logits/MatMul")
        else:
            tf.matmul(tf.reshape(pooled, [-1, 2]), weights, name="logits")
    path.write_bytes(graph.as_graph_def(add_shapes=True).SerializeToString())


@pytest.mark.parametrize("fixed_batch", [True, False], ids=["2015", "tf-gan"])
def test_frozen_graph_takes_any_batch(tmp_path, fixed_batch):
    frozen_graph(tmp_path / "graph.pb", fixed_batch)
    extractor = InceptionExtractor(tmp_path / "graph.pb")
    for count in (1, 3):
        images = formulas.images(count, count)
        features, logits = extractor(images)
        expected_features, expected_logits = expected_of_toy(images)
        np.testing.assert_allclose(features, expected_features, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float32, tf.uint8])
def test_saved_model(tmp_path, dtype):
    module = tf.Module()
    module.scale = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], dtype)])
    def serve(images):
        scaled = preprocess(images) if dtype == tf.uint8 else images
        pooled, weights = toy_features(scaled * module.scale)
        return {"pool_3": pooled, "logits": tf.reshape(pooled, [-1, 2]) @ weights}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures=serve)
    images = formulas.images(0, 3, 40, 36)
    features, logits = InceptionExtractor(tmp_path / "model")(images)
    expected_features, expected_logits = expected_of_toy(images)
    np.testing.assert_allclose(features, expected_features, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-6)


def test_grey_images_are_repeated(tmp_path):
    frozen_graph(tmp_path / "graph.pb", fixed_batch=False)
    extractor = InceptionExtractor(tmp_path / "graph.pb")
    grey = formulas.images(0, 2, channels=1)
    features, _ = extractor(grey)
    np.testing.assert_array_equal(features, extractor(np.repeat(grey, 3, axis=-1))[0])


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 32, 32, 3)), TypeError, "uint8.*values from 0 to 0"),
        (np.full((2, 32, 32, 3), -1.0), TypeError, "values from -1 to -1"),
        (np.zeros((2, 32, 32), np.uint8), ValueError, "shape"),
        (np.zeros((2, 32, 32, 4), np.uint8), ValueError, "1 or 3"),
        (np.zeros((0, 32, 32, 3), np.uint8), ValueError, "must not be empty"),
    ],
)
def test_refuses_images(tmp_path, images, error, message):
    frozen_graph(tmp_path / "graph.pb", fixed_batch=False)
    with pytest.raises(error, match=message):
        InceptionExtractor(tmp_path / "graph.pb")(images)

"""Freezes torch-fidelity's and prdc's scores as fixtures/reference.json.

Run it in an environment of its own, which the project itself doesn't need:

    python -m venv env
    env/bin/pip install torch==2.13.0 numpy scipy scikit-learn tqdm pillow
    env/bin/pip install --no-deps torchvision==0.28.0 torch-fidelity==0.4.0 prdc==0.2
    env/bin/python tests/training/evaluation/make_fixtures.py
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path

import formulas
import numpy as np
import torch

# torchvision, which torch-fidelity imports but none of these scores uses, registers
# operators of its compiled part, which doesn't load beside a CPU build of torch.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import torch_fidelity  # noqa: E402
from prdc import compute_prdc  # noqa: E402
from torch_fidelity.defaults import DEFAULTS  # noqa: E402
from torch_fidelity.feature_extractor_inceptionv3 import (  # noqa: E402
    FeatureExtractorInceptionV3,
)
from torch_fidelity.metric_fid import (  # noqa: E402
    fid_features_to_statistics,
    fid_statistics_to_metric,
)
from torch_fidelity.metric_isc import isc_features_to_metric  # noqa: E402
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402
from torch_fidelity.metric_prc import prc_features_to_metric  # noqa: E402


def frechet(real, fake):
    """torch-fidelity's Fréchet distance of two feature arrays."""
    statistics = [fid_features_to_statistics(torch.tensor(x)) for x in (fake, real)]
    return fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]


def scores_on_features():
    """Every score on the same features, in float64."""
    real = formulas.features(1, 700, 24)
    fake = formulas.features(2, 600, 24, spread=0.8, shift=0.1)
    few = formulas.features(3, 15, 24)
    predictions = formulas.logits(4, 1003, 12)
    settings = DEFAULTS | {"verbose": False, "kid_subsets": 20, "kid_subset_size": 200}
    x, y = torch.tensor(real), torch.tensor(fake)
    return {
        "frechet": frechet(real, fake),
        "frechet_few": frechet(few, fake),
        "kid": kid_features_to_metric(y, x, **settings),
        "precision_recall": prc_features_to_metric(y, x, **settings),
        "prdc_5": {
            key: float(value) for key, value in compute_prdc(real, fake, 5).items()
        },
        "inception_score": isc_features_to_metric(
            torch.tensor(predictions), 10, shuffle=False
        ),
        "inception_score_shuffled": isc_features_to_metric(
            torch.tensor(predictions), 10, shuffle=True, rng_seed=2020
        ),
    }


def inception_end_to_end():
    """Inception with random weights on random images, from uint8 to FID and IS."""
    weights = _inception_shapes()
    state = formulas.inception_state(weights)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.pth")
        torch.save({key: torch.tensor(value) for key, value in state.items()}, path)
        extractor = FeatureExtractorInceptionV3(
            "inception",
            ["2048", "logits_unbiased"],
            feature_extractor_weights_path=path,
        )
    outputs = []
    for seed in (5, 6):
        images = torch.tensor(formulas.images(seed, 6)).permute(0, 3, 1, 2)
        outputs.append([output.double().numpy() for output in extractor(images)])
    (real, _), (fake, predictions) = outputs
    return {
        "shapes": weights,
        "features_every_64th": fake[:, ::64].tolist(),
        "logits_every_64th": predictions[:, ::64].tolist(),
        "frechet": frechet(real, fake),
        "inception_score": isc_features_to_metric(
            torch.tensor(predictions), 1, shuffle=False
        )["inception_score_mean"],
    }


def _inception_shapes():
    # The constructor wants a file, so it is given what its own modules start with.
    found = {}
    original = torch.nn.Module.load_state_dict

    def capture(module, state):
        found.update({k: list(v.shape) for k, v in module.state_dict().items()})

    torch.nn.Module.load_state_dict = capture
    try:
        with tempfile.NamedTemporaryFile(suffix=".pth") as file:
            torch.save({}, file.name)
            FeatureExtractorInceptionV3(
                "inception", ["2048"], feature_extractor_weights_path=file.name
            )
    finally:
        torch.nn.Module.load_state_dict = original
    return {
        key: shape
        for key, shape in found.items()
        if key.endswith(".conv.weight") or key == "fc.weight"
    }


def main():
    """Writes the fixtures beside this script."""
    with contextlib.suppress(AttributeError):
        torch.use_deterministic_algorithms(True)
    reference = {
        "versions": {
            "torch": torch.__version__,
            "torch-fidelity": torch_fidelity.__version__,
            "numpy": np.__version__,
        },
        "features": scores_on_features(),
        "inception": inception_end_to_end(),
    }
    path = Path(__file__).parent / "fixtures" / "reference.json"
    path.write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""`retinue explain` for one box of a detector and one region of a segmentation, on tiny models and real files."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from retinue import cli
from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config, to_yaml
from retinue.pipeline.explaining import explain as stage
from retinue.pipeline.explaining.explain import explain
from retinue.pipeline.explaining.open_explainer import open_explainer
from retinue.pipeline.explaining.options import ExplainOptions
from retinue.pipeline.prediction.predictor import Predictor
from retinue.pipeline.runs.run import Model
from retinue.tasks.detection.task import Detection
from retinue.tasks.explainer import NothingToExplain, TargetSelection, occlusion_near
from retinue.tasks.model import TaskModel
from retinue.tasks.segmentation.task import Segmentation

CLASSES = ("red", "blue")


class TinySegmentation(Segmentation):
    """A class for the pixel's reddest, bluest or greenest channel, by a 1 x 1 convolution."""

    def build(self, weights=None, class_counts=None):
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 25, name="scale")(image)
        maps = keras.layers.Conv2D(3, 1, use_bias=False, name="maps")(x)
        logits = keras.layers.Identity(name="logits")(maps)
        model = TaskModel(image, logits, lambda targets, outputs: {}, ("loss",), ["scale", "maps"])
        model.get_layer("maps").set_weights([np.eye(3, dtype=np.float32)[None, None, :, [1, 0, 2]]])
        return model


class Kept(Model):
    """What `open_model` gives, with a model that needs no file of weights."""

    def __init__(self, folder, task, built):
        super().__init__(folder, "run")
        self.task, self.built = task(self.config, self.classes, False), built

    def build(self):
        return self.built or self.task.build()


def folder_of(folder, task, classes, settings=()):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(load_config(settings=[f"task={task}", *settings])))
    (folder / "classes.json").write_text(json.dumps({"classes": classes, "multi_label": False}))
    return folder


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory):
    folder = folder_of(
        tmp_path_factory.mktemp("seg") / "run", "segmentation", ["background", "red", "blue"],
        ["segmentation.tta_scales=[2.0]"],
    )  # fmt: skip
    return Kept(folder, TinySegmentation, None)


@pytest.fixture(scope="session")
def detector(tmp_path_factory):
    """A small real detector with random weights, which finds something everywhere."""
    settings = [
        "model.weights=none", "model.backbone=resnet18", "model.input_size=48", "detection.max_size=96",
        "detection.fpn_channels=8", "detection.box_head_dim=16", "detection.rpn_pre_nms_top_n_test=20",
        "detection.rpn_post_nms_top_n_test=20", "detection.anchor_sizes=[16,32,48,64,96]",
        "detection.score_threshold=0.0",
        "detection.max_detections=5",
    ]  # fmt: skip
    folder = folder_of(tmp_path_factory.mktemp("det") / "run", "detection", CLASSES, settings)
    keras.utils.set_random_seed(1)
    config = load_config(str(folder / "config.yaml"))
    return Kept(folder, Detection, Detection(config, CLASSES).build())


@pytest.fixture
def scene(tmp_path):
    """Green, with a red square of 12, a small red one and a blue one of 8: 36 x 60."""
    image = np.full((36, 60, 3), (30, 220, 30), np.uint8)
    image[4:16, 6:18], image[26:30, 50:54], image[20:28, 30:38] = (220, 30, 30), (220, 30, 30), (30, 30, 220)
    path = tmp_path / "images" / "scene.png"
    path.parent.mkdir()
    Image.fromarray(image).save(path)
    return path


def test_a_region_is_all_pixels_of_the_selected_class(segmenter, scene, tmp_path, logged):
    out = tmp_path / "why"
    logged.clear()
    explain(segmenter, [scene], out, ExplainOptions(methods=["saliency", "grad-cam", "occlusion"], class_name="Blue"))
    (entry,) = json.loads((out / "explanations.json").read_text())
    assert entry["class"] == "blue" and entry["pixels"] == 64 and entry["score"] > 0.9
    assert "explaining blue" in logged.messages[0] and "3.0% of the image" in logged.messages[0]
    maps = {name: np.load(out / "scene" / f"{name}.npy") for name in ("saliency", "grad-cam", "occlusion")}
    inside = np.zeros((36, 60), bool)
    inside[20:28, 30:38] = True
    for name, array in maps.items():
        assert array.shape == (36, 60) and array.dtype == np.float32
        assert array[inside].mean() > 10 * np.abs(array[~inside]).mean(), name
    # one pixel of the region is one of 64 (256 at twice the size) in the mean, each moves its logit by 1 / 25
    assert maps["saliency"][22:26, 32:36] == pytest.approx(1 / 25 / 256, rel=1e-4)


def test_by_default_the_largest_class_that_is_not_background_is_explained(segmenter, scene, tmp_path):
    explain(segmenter, [scene], tmp_path / "why", ExplainOptions(methods="saliency"))
    (entry,) = json.loads((tmp_path / "why" / "explanations.json").read_text())
    assert entry["class"] == "red" and entry["pixels"] == 12 * 12 + 4 * 4


def test_a_point_selects_the_region_around_it(segmenter, scene, tmp_path, logged):
    explain(segmenter, [scene], tmp_path / "one", ExplainOptions(methods="saliency", point=(51, 27)))
    (entry,) = json.loads((tmp_path / "one" / "explanations.json").read_text())
    assert entry["class"] == "red" and entry["pixels"] == 16
    array = np.load(tmp_path / "one" / "scene" / "saliency.npy")
    assert array[27, 51] > 0 and array[:20].max() == 0
    logged.clear()
    explain(
        segmenter, [scene], tmp_path / "other", ExplainOptions(methods="saliency", point=(51, 27), class_name="blue")
    )
    assert "explaining blue" in logged.messages[0] and "which is predicted as red" in logged.messages[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"point": (60, 0)}, "60,0 lies outside of this image of 60 x 36"),
        ({"class_name": "blue"}, "predicted as blue.*red"),
    ],
)
def test_a_missing_region_is_an_error_with_its_reason(segmenter, scene, tmp_path, options, words):
    image = np.array(Image.open(scene))
    image[20:28, 30:38] = image[0, 0]
    Image.fromarray(image).save(scene.parent / "no blue.png")
    with pytest.raises(RetinueError, match=words):
        explain(segmenter, [scene.parent / "no blue.png"], tmp_path / "why", ExplainOptions(**options))


def test_by_default_the_best_box_is_explained_with_the_score_of_the_prediction(
    detector, opened, scene, tmp_path, logged, monkeypatch
):
    (result,) = Predictor(detector, "tensorflow")([scene])
    out = tmp_path / "why"
    monkeypatch.setattr(stage, "open_explainer", lambda model, weights: opened)  # tracing and converting once is enough
    logged.clear()
    explain(detector, [scene], out, ExplainOptions(methods=["saliency", "grad-cam", "occlusion"]))
    (entry,) = json.loads((out / "explanations.json").read_text())
    best = result.prediction["detections"][0]
    assert entry["class"] == best["label"] and entry["score"] == pytest.approx(best["score"], abs=1e-4)
    np.testing.assert_allclose(entry["box"], best["box"], atol=0.1)
    assert f"explaining {best['label']}" in logged.messages[0] and "box 1 of 5" in logged.messages[0]
    for name in ("saliency", "grad-cam", "occlusion"):
        assert np.load(out / "scene" / f"{name}.npy").shape == (36, 60)


@pytest.fixture(scope="session")
def opened(detector):
    return open_explainer(detector)


@pytest.mark.slow
def test_another_box_and_the_best_box_of_a_class_can_be_selected(detector, opened, scene):
    (result,) = Predictor(detector)([scene])
    detections, original = result.prediction["detections"], np.array(Image.open(scene))
    image = opened.prepare(original)
    third = opened.request(original, image, TargetSelection(box=3))
    np.testing.assert_allclose(third.facts["box"], detections[2]["box"], atol=0.1)
    label = detections[-1]["label"]
    of_class = [one for one in detections if one["label"] == label]
    best = opened.request(original, image, TargetSelection(class_name=label.upper()))
    assert best.label == label and best.score == pytest.approx(of_class[0]["score"], abs=1e-4)
    with pytest.raises(NothingToExplain, match="it has no box 6; it has 5, numbered from 1 to 5"):
        opened.request(original, image, TargetSelection(box=6))


def test_an_image_without_the_region_is_reported_and_the_others_are_explained(segmenter, scene, tmp_path, logged):
    Image.new("RGB", (20, 20), (30, 220, 30)).save(scene.parent / "empty.png")
    logged.clear()
    failed = explain(segmenter, [scene.parent], tmp_path / "why", ExplainOptions(methods="saliency", class_name="red"))
    assert failed == 1 and any("empty.png: no pixel of it is predicted as red" in line for line in logged.messages)
    assert (tmp_path / "why" / "scene.png").is_file()


def test_the_fast_runtime_gives_a_box_the_scores_of_the_keras_model(opened, scene):
    original = np.array(Image.open(scene))
    image = opened.prepare(original)
    explained = opened.request(original, image, TargetSelection())
    by_keras = keras.ops.softmax(opened.model(image[None]))
    np.testing.assert_allclose(explained.predict(np.stack([image] * 3)), np.repeat(by_keras, 3, axis=0), atol=1e-4)


def test_occlusion_of_a_small_box_uses_small_squares_near_it():
    assert occlusion_near((40, 50, 60, 60), (100, 200)) == {"size": 5, "stride": 2, "within": (20, 40, 80, 70)}
    assert occlusion_near((0, 0, 200, 100), (100, 200)) == {"size": 20, "stride": 10, "within": (0, 0, 200, 100)}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tiny_model", {"box": 1}, "--box: selects a box of a detection model, but .* is a classification model"),
        ("tiny_model", {"point": (1, 1)}, "--point: selects a region of a segmentation model"),
        ("segmenter", {"box": 1}, "--box: selects a box of a detection model, but .* is a segmentation model"),
        (
            "detector",
            {"point": (1, 1)},
            "--point: selects a region of a segmentation model, but .* is a detection model",
        ),
        ("detector", {"class_name": "bleu"}, "--class bleu: .* did you mean blue"),
        ("segmenter", {"methods": "feature-visualization"}, "is for classifiers"),
        ("tiny_model", {"channel": 2}, "--channel 2: is for neuron-gradient"),
        ("tiny_model", {"channel": 8, "methods": "neuron-gradient", "layer": "conv"}, "conv has 8 channels, 0 to 7"),
        ("tiny_model", {"weights": "none"}, "--weights none: is for the name of a backbone"),
    ],
)
def test_options_for_other_models_are_refused_before_anything_is_computed(
    request, scene, tmp_path, name, options, words
):
    with pytest.raises(UsageError, match=words):
        explain(request.getfixturevalue(name), [scene], tmp_path / "why", ExplainOptions(**options))
    assert not (tmp_path / "why").exists()


def test_all_skips_methods_that_are_not_possible(segmenter, scene, tmp_path, logged):
    explain(segmenter, [scene], tmp_path / "why", ExplainOptions(methods="all", sanity_checks=True))
    assert any(line.startswith("skipped feature-visualization: it is for classifiers") for line in logged.messages)
    written = {path.stem for path in (tmp_path / "why" / "scene").glob("*.npy")}
    assert {"saliency", "smoothgrad", "integrated-gradients", "grad-cam", "occlusion", "activations"} <= written
    (entry,) = json.loads((tmp_path / "why" / "explanations.json").read_text())
    assert {"deletion", "insertion", "randomization"} == set(entry["sanity_checks"]["saliency"])


def test_a_channel_can_be_visualized_and_dreamed(tiny_model, scene, tmp_path):
    options = {"layer": "conv", "channel": 3}
    explain(
        tiny_model,
        [],
        out=tmp_path / "image",
        options=ExplainOptions(methods="feature-visualization", **options),
    )
    assert len(list((tmp_path / "image").glob("*/feature-visualization-*.npy"))) == 4
    explain(
        tiny_model,
        [scene],
        tmp_path / "deep-dream",
        ExplainOptions(methods=["deep-dream", "neuron-gradient"], **options),
    )
    assert np.load(tmp_path / "deep-dream" / "scene" / "deep-dream.npy").shape == (36, 60, 3)


def test_a_malformed_point_on_the_command_line_is_an_error(tiny_model, scene, tmp_path):
    result = CliRunner().invoke(
        cli.commands, ["explain", "lenet5", str(scene), "--out", str(tmp_path / "why"), "--point", "3;4"]
    )
    assert result.exit_code == 2 and "3;4: write it as X,Y, for example 120,80" in result.output

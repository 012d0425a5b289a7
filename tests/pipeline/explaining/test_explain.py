"""The command `retinue explain`, on a tiny model and real files."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from retinue import backbones, cli
from retinue.configs.errors import RetinueError, UsageError
from retinue.explain import METHODS
from retinue.pipeline.explaining.explain import explain
from retinue.pipeline.explaining.open_explainer import open_explainer
from retinue.pipeline.explaining.options import ExplainOptions
from retinue.pipeline.prediction.predictor import Predictor
from retinue.tasks.classification.explainer import ClassifierExplainer


@pytest.fixture
def wide(tmp_path, random_image):
    path = tmp_path / "images" / "wide one.jpg"
    path.parent.mkdir()
    Image.fromarray(random_image(3, 12, 40)).save(path, quality=95)
    return path


@pytest.fixture(scope="session")
def random_image():
    def make(seed, height, width):
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)

    return make


def test_maps_have_the_size_of_the_image_and_come_with_class_and_score(tiny_model, wide, tmp_path, logged):
    out, before = tmp_path / "why", wide.read_bytes()
    logged.clear()
    assert explain(tiny_model, [str(wide.parent)], out) == 0
    (result,) = Predictor(tiny_model)([wide])
    best = result.prediction["labels"][0]
    assert f"explaining {best['label']}, {best['score']:.1%}" in logged.messages[0]
    (entry,) = json.loads((out / "explanations.json").read_text())
    assert entry["class"] == best["label"] and abs(entry["score"] - best["score"]) < 1e-5
    for method in ("grad-cam", "occlusion", "saliency"):
        array = np.load(out / "wide-one" / f"{method}.npy")
        assert array.shape == (12, 40) and array.dtype == np.float32 and np.abs(array).max() > 0, method
    with Image.open(out / entry["sheet"]) as sheet:
        assert sheet.size[0] > 1400  # the image and three maps in a row
    assert "wide-one.png" in (out / "index.html").read_text()
    assert sorted(os.listdir(wide.parent)) == ["wide one.jpg"] and wide.read_bytes() == before


def test_all_methods_run_on_one_image(tiny_model, wide, tmp_path, logged):
    explain(
        tiny_model, [wide], tmp_path / "why", ExplainOptions(methods=["all"], class_name="Bean", sanity_checks=True)
    )
    written = {path.stem for path in (tmp_path / "why" / "wide-one").glob("*.npy")}
    images = {
        "feature-visualization-l2",
        "feature-visualization-blur",
        "feature-visualization-jitter",
        "feature-visualization-fourier",
    }
    assert written == set(METHODS) - {"feature-visualization"} | images
    assert np.load(tmp_path / "why" / "wide-one" / "deep-dream.npy").shape == (12, 40, 3)
    assert np.load(tmp_path / "why" / "wide-one" / "activations.npy").shape[:2] == (12, 40)
    (entry,) = json.loads((tmp_path / "why" / "explanations.json").read_text())
    assert entry["class"] == "bean" and set(entry["sanity_checks"]) == set(METHODS) - {
        "filters", "activations", "feature-visualization", "deep-dream"
    } | {"random order"}  # fmt: skip
    assert (
        (tmp_path / "why" / "wide-one" / "deletion_insertion.csv")
        .read_text()
        .startswith("method,fraction,deletion,insertion")
    )
    assert (
        "randomization" in entry["sanity_checks"]["saliency"]
        and "randomization" not in entry["sanity_checks"]["occlusion"]
    )


def test_methods_without_an_image(tiny_model, tmp_path):
    explain(
        tiny_model,
        [],
        out=tmp_path / "filters",
        options=ExplainOptions(methods="filters"),
    )
    assert np.load(next((tmp_path / "filters").glob("*/filters.npy"))).shape == (8, 3, 3, 3)
    with pytest.raises(UsageError, match="saliency: needs an image"):
        explain(
            tiny_model,
            [],
            out=tmp_path / "other",
            options=ExplainOptions(methods="saliency"),
        )
    with pytest.raises(UsageError, match="needs a class; give one with --class NAME"):
        explain(
            tiny_model,
            [],
            out=tmp_path / "other",
            options=ExplainOptions(methods="feature-visualization"),
        )
    assert not (tmp_path / "other").exists()


def test_of_an_export_only_occlusion_is_possible(tiny_model, exported, wide, tmp_path):
    for name, model in (("run", tiny_model), ("export", exported)):
        explain(model, [wide], tmp_path / name, ExplainOptions(methods="occlusion"))
    maps = [np.load(tmp_path / name / "wide-one" / "occlusion.npy") for name in ("run", "export")]
    # an export takes whole gray levels, so the mean color that covers is rounded
    np.testing.assert_allclose(*maps, atol=0.01 * np.abs(maps[0]).max())
    with pytest.raises(UsageError, match="is an export.*grad-cam, saliency is not possible; give the run folder"):
        explain(exported, [wide], tmp_path / "more")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": ["grad-kam"]}, "--method grad-kam: there is no such method; did you mean grad-cam"),
        ({"class_name": "appel"}, "--class appel: .* has no such class; did you mean apple"),
        ({"class_name": "zzz"}, "its classes are apple, bean, cherry"),
        ({"methods": ["grad-cam"], "layer": "convv"}, "--layer convv: the model has no such layer; did you mean conv"),
        (
            {"methods": ["activations"], "layer": "flatten"},
            "flatten: gives no map .*layers that do:.*conv",
        ),
    ],
)
def test_wrong_names_are_answered_with_similar_ones(tiny_model, wide, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        explain(tiny_model, [wide], tmp_path / "why", ExplainOptions(**options))


def test_wrong_models_are_refused(wide, tmp_path):
    with pytest.raises(UsageError, match="no backbone of this name; did you mean efficientnet_lite0"):
        explain("eficientnet_lite0", [wide], tmp_path / "why")
    with pytest.raises(UsageError, match="not a model of retinue"):
        explain(str(tmp_path), [wide], tmp_path / "why")
    with pytest.raises(RetinueError, match="lenet5: no ImageNet weights are known"):
        explain("lenet5", [wide], tmp_path / "why")


def test_a_backbone_without_a_classifier_is_explained_by_its_layers(wide, tmp_path):
    """Weights without a classifier: methods that need a class are refused, methods that look at layers are done."""
    trunk = backbones.build("resnet18", weights="none")
    weights = str(tmp_path / "trunk.weights.h5")
    trunk.save_weights(weights)
    options = {"weights": weights}
    with pytest.raises(UsageError, match="no classifier, so grad-cam, occlusion, saliency is not possible"):
        explain("resnet18", [wide], tmp_path / "why", ExplainOptions(**options))
    with pytest.raises(UsageError, match="--sanity-checks: they test the score of a class"):
        explain(
            "resnet18",
            [wide],
            tmp_path / "why",
            ExplainOptions(methods="neuron-gradient", sanity_checks=True, **options),
        )
    explain(
        "resnet18",
        [wide],
        tmp_path / "why",
        ExplainOptions(methods="neuron-gradient", layer="stage2_block1_out", **options),
    )
    assert np.load(tmp_path / "why" / "wide-one" / "neuron-gradient.npy").shape == (12, 40, 3)
    with pytest.raises(RetinueError, match="missing.h5: no such weights file"):
        explain("resnet18", [wide], tmp_path / "other", ExplainOptions(methods="neuron-gradient", weights="missing.h5"))


def test_a_broken_file_is_reported_and_the_others_are_explained(tiny_model, wide, tmp_path, logged):
    broken = wide.parent / "broken.jpg"
    logged.clear()
    broken.write_bytes(b"no image")
    assert explain(tiny_model, [wide.parent], tmp_path / "why", ExplainOptions(methods="saliency")) == 1
    assert any("broken.jpg: it can't be read" in line for line in logged.messages)
    assert (tmp_path / "why" / "wide-one.png").is_file()
    with pytest.raises(RetinueError, match="broken.jpg: it can.t be read"):
        explain(tiny_model, [broken], tmp_path / "none", ExplainOptions(methods="saliency"))


def test_images_of_one_name_get_different_files_and_an_existing_folder_is_refused(tiny_model, wide, tmp_path):
    other = tmp_path / "more" / "wide one.jpg"
    other.parent.mkdir()
    other.write_bytes(wide.read_bytes())
    explain(tiny_model, [wide, other], tmp_path / "why", ExplainOptions(methods="saliency"))
    assert sorted(path.name for path in (tmp_path / "why").glob("*.png")) == ["wide-one-2.png", "wide-one.png"]
    with pytest.raises(UsageError, match="exists already"):
        explain(tiny_model, [wide], tmp_path / "why")
    with pytest.raises(UsageError, match="exists already"):  # or an image could be overwritten
        explain(tiny_model, [wide], wide.parent)


@pytest.mark.parametrize(
    ("resize_mode", "shape", "expected"),
    [
        ("stretch", (4, 8), np.repeat(np.arange(4.0)[None] + 1, 4, axis=0)),
        ("letterbox", (2, 4), [[1, 2, 3, 4], [1, 2, 3, 4]]),
        ("center_crop", (4, 6), [[0, 1, 2, 3, 4, 0]] * 4),
    ],
)
def test_maps_are_brought_back_to_where_the_model_saw_them(resize_mode, shape, expected):
    small = np.repeat(np.arange(4.0)[None] + 1, 4, axis=0).astype(np.float32)
    array = ClassifierExplainer("", None, (), 4, resize_mode, None).to_original(small, shape)
    if resize_mode == "stretch":  # twice as wide: columns 1, 3, 5 and 7 have the values of the pixel centers in between
        assert array.shape == (4, 8)
        np.testing.assert_allclose(array[0], [1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4])
    else:
        np.testing.assert_allclose(array, expected)


def test_the_command(tiny_model, exported, wide, tmp_path):
    result = CliRunner().invoke(
        cli.commands, ["explain", str(exported), str(wide), "--out", str(tmp_path / "why"), "--method", "occlusion"]
    )
    assert result.exit_code == 0, result.output
    assert "explaining" in result.output and "index.html" in result.output
    assert (tmp_path / "why" / "wide-one.png").is_file()


def test_the_explainer_predicts_what_the_run_predicts(tiny_model, wide):
    explainer = open_explainer(tiny_model)
    (result,) = Predictor(tiny_model)([wide])
    original = np.asarray(Image.open(wide))
    scores = explainer.predict(explainer.prepare(original)[None])[0]
    np.testing.assert_allclose(scores, result.prediction["scores"], atol=0.02)  # Pillow decodes a little differently

"""Tests of the Python interface: options of `predict`, and the models that `load` returns."""

import json

import pytest
import tensorflow as tf

import retinue
from retinue.configs.load import load_config, to_yaml
from retinue.pipeline.prediction.options import PredictOptions
from retinue.pipeline.runs.run import open_model
from retinue.tests.helpers.small_detector import SETTINGS


@pytest.fixture(scope="module")
def detector_run(tmp_path_factory):
    """A run folder of a small detector that is not trained."""
    folder = tmp_path_factory.mktemp("detector") / "run"
    folder.mkdir()
    anchors = ["model.backbone=resnet18", "model.input_size=64", "detection.anchor_sizes=[16, 32, 64, 64, 64]"]
    config = load_config(settings=[*SETTINGS, *anchors])
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps({"classes": ["red", "blue"], "multi_label": False}))
    open_model(folder).task.build(weights="none").save_weights(folder / "best.weights.h5")
    return folder


def test_load_returns_a_model_that_predicts_from_images_alone(detector_run):
    model = retinue.load(detector_run)
    assert {"boxes", "labels"}.isdisjoint(tensor.name for tensor in model.inputs)
    task = open_model(detector_run).task
    inputs = {name: tensor[None] for name, tensor in task.prepare(tf.zeros([48, 64, 3], tf.uint8)).items()}
    outputs = {name: value.numpy() for name, value in model(inputs).items()}
    assert [set(prediction) >= {"detections", "boxes"} for prediction in task.postprocess(outputs)] == [True]


def test_load_for_training_returns_the_model_with_boxes_and_labels_as_inputs(detector_run):
    model = retinue.load(detector_run, training=True)
    assert {"boxes", "labels"} <= {tensor.name for tensor in model.inputs}


def test_options_of_predict_can_be_fields_or_an_object(exported, image_folder, tmp_path):
    options = PredictOptions(formats=("jsonl", "csv"), runtime="tensorflow")
    summary = retinue.predict(exported, [image_folder / "2.png"], tmp_path / "object", options)
    assert summary.images == 1 and (tmp_path / "object" / "predictions.csv").exists()
    retinue.predict(exported, [image_folder / "2.png"], tmp_path / "fields", options, formats=("jsonl",), batch_size=2)
    assert not (tmp_path / "fields" / "predictions.csv").exists()
    with pytest.raises(TypeError, match="steps"):
        retinue.predict(exported, [image_folder / "2.png"], tmp_path / "unknown", steps=2)

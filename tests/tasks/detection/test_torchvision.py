"""With the same weights, our detector has the outputs and losses of torchvision's (numbers of detection_golden.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from retinue.backbones.weights import TORCH_VARIABLES
from retinue.benchmarks.parity import detection_golden as golden
from retinue.configs.errors import RetinueError
from retinue.configs.load import load_config
from retinue.pipeline.runtimes import runtimes, tensorflow_runtime
from retinue.tasks.detection import model, torchvision

FOLDER = Path(__file__).parent / "golden"


def build_detector(backbone, classes=golden.CLASSES):
    everything = ["detection.rpn_batch_size_per_image=1000000", "detection.box_batch_size_per_image=1000000"]
    counts = [
        f"detection.{name}={golden.PROPOSALS[backbone]}"
        for name in ("rpn_post_nms_top_n_train", "rpn_post_nms_top_n_test")
    ]
    settings = ["task=detection", f"model.backbone={backbone}", "model.weights=none", *everything, *counts]
    config = load_config(settings=settings)
    return config, model.build(config, classes)


def state_dict(backbone, detector):
    """The tensors of torchvision's checkpoint, in its names and layout, with values that depend on their names."""
    tensors = {}
    for layer in detector.layers:
        for variable in layer.weights:
            if layer.name in torchvision.HEADS:
                torch_name = torchvision.HEADS[layer.name][0]
            elif layer.name.startswith("pyramid_"):
                _, part, stride = layer.name.split("_")
                level = {"4": 0, "8": 1, "16": 2, "32": 3}[stride]
                torch_name = f"backbone.fpn.{'inner' if part == 'lateral' else 'layer'}_blocks.{level}.0"
            else:
                torch_name = f"backbone.body.{torchvision.resnet.torch_name(layer.name)}"
            key = f"{torch_name}.{TORCH_VARIABLES[variable.path.rsplit('/', 1)[-1]]}"
            shape = tuple(variable.shape)
            order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(shape)]
            tensors[key] = golden.tensor(backbone, key, tuple(shape[axis] for axis in order))
    return tensors


def load_detector(backbone):
    config, detector = build_detector(backbone)
    report = torchvision.assign(detector, state_dict(backbone, detector), f"{backbone}.pth")
    assert len(report.matched) == len(detector.weights) and not report.missing and not report.unexpected
    return config, detector


def batch_of(sizes):
    """Images of the given (height, width), padded to one size that is a multiple of 32."""
    largest = -(-np.max(sizes, 0) // 32) * 32
    images = np.zeros((len(sizes), *largest, 3), np.uint8)
    for image, (height, width) in zip(images, sizes, strict=True):
        image[:height, :width] = golden.make_image(height, width)
    sizes = np.array(sizes, np.int32)
    return {"image": images, "size": sizes, "original_size": sizes}


def tensors_of(sizes):
    return {name: tf.constant(value) for name, value in batch_of(sizes).items()}


def assert_same(outputs, row, expected):
    """Within 0.01 pixels and 1e-4 of score. Of two detections with equal scores, either may come first."""
    count = len(expected["scores"])
    assert outputs["count"][row] == count > 50
    boxes, scores, labels = (outputs[name].numpy()[row, :count] for name in ("boxes", "scores", "labels"))
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-4)
    same_box = np.abs(boxes[:, None] - np.array(expected["boxes"])[None]).max(-1) < 0.01
    same_score = np.abs(scores[:, None] - np.array(expected["scores"])[None]) < 1e-4
    same = same_box & same_score & (labels[:, None] == np.array(expected["labels"])[None])
    assert same.any(1).all() and same.any(0).all()


def check(backbone):
    config, detector = load_detector(backbone)
    records = json.loads((FOLDER / f"{backbone}_fpn.json").read_text())
    sizes = golden.SIZES[backbone]
    inference = model.inference(detector, config.detection)
    run = tensorflow_runtime.trace(inference)
    together = run(**tensors_of(sizes))
    for row, (height, width) in enumerate(sizes):
        key = f"{height}x{width}"
        alone = run(**tensors_of([(height, width)]))
        assert_same(alone, 0, records["detections"][key])
        assert_same(together, row, records["detections"][key])  # padding changes nothing
        boxes, labels = golden.objects(height, width)
        truth = {"boxes": boxes[None], "labels": labels[None].astype(np.int32), "seed": np.zeros((1, 2), np.int32)}
        inputs = batch_of([(height, width)])
        outputs = detector({"image": inputs["image"], "size": inputs["size"]} | truth, training=False)
        losses = model.make_loss(config.detection.box_smooth_l1_beta)((), outputs)
        for name, loss in records["losses"][key].items():
            assert losses[name].numpy() == pytest.approx([loss], rel=1e-3, abs=1e-5), (key, name)
    return inference, run, together, sizes


def test_resnet18_has_the_outputs_and_losses_of_torchvision_and_openvino_has_the_same_outputs():
    inference, run, together, sizes = check("resnet18")
    runtime = runtimes.start(run, inference, "openvino", "f32")
    outputs = runtime(batch_of(sizes))
    for name, tolerance in (("boxes", 0.01), ("scores", 1e-4), ("labels", 0), ("count", 0)):
        np.testing.assert_allclose(outputs[name], together[name], atol=tolerance)


@pytest.mark.slow
def test_resnet50_has_the_outputs_and_losses_of_torchvision():
    check("resnet50")


@pytest.fixture(scope="module")
def detector():
    return build_detector("resnet18")[1]


def test_names_of_older_checkpoints_are_known(detector):
    tensors = state_dict("resnet18", detector)
    older = {
        name.replace("_blocks.0.0.", "_blocks.0.").replace("rpn.head.conv.0.0.", "rpn.head.conv."): array
        for name, array in tensors.items()
    }
    assert older.keys() != tensors.keys()
    matched, misfits, unexpected, _ = torchvision.match(detector, older)
    assert not misfits and not unexpected
    np.testing.assert_array_equal(matched["rpn_conv/kernel"], tensors["rpn.head.conv.0.0.weight"].transpose(2, 3, 1, 0))


def test_the_published_file_has_an_epsilon_of_0(detector):
    tensors = state_dict("resnet18", detector)
    plain, *_ = torchvision.match(detector, tensors, "mine.pth")
    published, *_ = torchvision.match(detector, tensors, "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    key = "stage1_block1_1_bn/moving_variance"
    np.testing.assert_allclose(published[key] + np.float32(1e-5), plain[key], rtol=1e-6)
    np.testing.assert_array_equal(published["rpn_conv/bias"], plain["rpn_conv/bias"])


def test_outputs_for_other_classes_are_left_out(detector):
    tensors = state_dict("resnet18", detector)
    tensors["roi_heads.box_predictor.cls_score.weight"] = np.zeros((91, 1024), np.float32)
    tensors["roi_heads.box_predictor.cls_score.bias"] = np.zeros(91, np.float32)
    tensors["roi_heads.box_predictor.bbox_pred.weight"] = np.zeros((364, 1024), np.float32)
    tensors["roi_heads.box_predictor.bbox_pred.bias"] = np.zeros(364, np.float32)
    before = detector.get_layer("head_classes").kernel.numpy()
    report = torchvision.assign(detector, tensors, "coco.pth")
    assert "90 classes" in str(report) and set(report.missing) == {
        f"{layer}/{variable}" for layer in ("head_classes", "head_boxes") for variable in ("kernel", "bias")
    }
    np.testing.assert_array_equal(detector.get_layer("head_classes").kernel, before)
    np.testing.assert_array_equal(detector.get_layer("head_fc7").bias, tensors["roi_heads.box_head.fc7.bias"])


def test_another_architecture_is_an_error_and_changes_nothing(detector):
    tensors = state_dict("resnet18", detector)
    tensors["backbone.body.layer1.0.conv1.weight"] = np.zeros((64, 64, 1, 1), np.float32)
    tensors["rpn.head.conv.0.0.bias"] = tensors["rpn.head.conv.0.0.bias"] + 1
    before = detector.get_layer("rpn_conv").bias.numpy()
    with pytest.raises(RetinueError, match="resnet50.pth: .*stage1_block1_1_conv/kernel"):
        torchvision.assign(detector, tensors, "resnet50.pth")
    np.testing.assert_array_equal(detector.get_layer("rpn_conv").bias, before)

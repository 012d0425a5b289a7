"""The video models: pretrained weights, sensitivity to time, and independence of the streams."""

import numpy as np
import pytest

from retinue import backbones, tasks
from retinue.configs.errors import UsageError
from retinue.pipeline.training.freeze import apply_stage
from retinue.tasks.video import model as video_models
from retinue.tasks.video.towers import mean_over_rgb, repeat_over_frames
from retinue.tests.helpers.video_config import CLASSES, SIZE, video_config


def snippets(seed, channels, count=2, segments=1, scale=255.0):
    random = np.random.default_rng(seed)
    return random.uniform(0, scale, (count, segments, SIZE, SIZE, channels)).astype(np.float32)


def test_the_first_kernel_for_flow_is_the_mean_over_rgb():
    kernel = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    flow = mean_over_rgb(4)(kernel)
    assert flow.shape == (1, 2, 4, 2)
    np.testing.assert_allclose(flow[0, 1, :, 0], [(6 + 8 + 10) / 3] * 4)
    repeated = repeat_over_frames(5)(kernel)
    np.testing.assert_allclose(repeated.reshape(1, 2, 5, 3, 2).sum(axis=2), kernel, rtol=1e-6)


def test_pretrained_weights_are_copied_to_both_streams(tmp_path):
    source = backbones.build("alexnet", weights="none", input_size=64)
    path = tmp_path / "backbone.weights.h5"
    source.save_weights(path)
    settings = video_config(
        backbone="alexnet", model__weights=str(path), model__input_size=64, video__frame_size=[64, 64]
    )
    model = video_models.build(settings, 3)
    first = next(layer for layer in source.layers if layer.get_weights())
    kernel = first.get_weights()[0]
    np.testing.assert_array_equal(model.get_layer(f"spatial_{first.name}").get_weights()[0], kernel)
    temporal = model.get_layer(f"temporal_{first.name}").get_weights()[0]
    np.testing.assert_allclose(temporal, np.repeat(kernel.mean(axis=2, keepdims=True), 6, axis=2), rtol=1e-6)
    later = [layer for layer in source.layers if layer.get_weights()][1]
    np.testing.assert_array_equal(model.get_layer(f"temporal_{later.name}").get_weights()[0], later.get_weights()[0])
    assert {layer.name for layer in model.backbone} >= {f"spatial_{first.name}", f"temporal_{first.name}"}
    assert {layer.name for layer in model.head if layer.weights} == {"spatial_logits", "temporal_logits"}


def test_logits_are_averaged_over_snippets():
    model = video_models.build(video_config(), 3)
    frames, flow = snippets(0, 3, segments=3), snippets(1, 6, segments=3, scale=4.0)
    both = model({"frames": frames, "flow": flow})
    for name in ("spatial", "temporal"):
        singles = []
        for number in range(3):
            one = {"frames": frames[:, number : number + 1], "flow": flow[:, number : number + 1]}
            singles.append(np.asarray(model(one)[name]))
        np.testing.assert_allclose(both[name], np.mean(singles, axis=0), rtol=1e-4, atol=1e-6)


def test_the_input_of_one_stream_does_not_change_the_other():
    model = video_models.build(video_config(), 3)
    frames, flow = snippets(0, 3), snippets(1, 6, scale=4.0)
    before = model({"frames": frames, "flow": flow})
    after = model({"frames": frames, "flow": -flow})
    np.testing.assert_array_equal(before["spatial"], after["spatial"])
    assert np.abs(np.asarray(before["temporal"]) - after["temporal"]).max() > 1e-6


@pytest.mark.parametrize("architecture, frames", [("early_fusion", 10), ("late_fusion", 2), ("slow_fusion", 10)])
def test_stacked_frames_are_sensitive_to_time(architecture, frames):
    model = video_models.build(video_config(architecture, backbone="resnet18"), 3)
    clips = snippets(0, 3 * frames)
    logits = np.asarray(model({"frames": clips})["spatial"])
    reversed_frames = clips.reshape(2, 1, SIZE, SIZE, frames, 3)[..., ::-1, :].reshape(clips.shape)
    other = np.asarray(model({"frames": np.ascontiguousarray(reversed_frames)})["spatial"])
    assert logits.shape == (2, 3) and np.abs(logits - other).max() > 1e-4 * np.abs(logits).max()
    assert np.abs(logits[0] - logits[1]).max() > 0
    alone = np.asarray(model({"frames": clips[1:]})["spatial"])  # clips of a batch are independent
    np.testing.assert_allclose(alone[0], logits[1], rtol=1e-4, atol=1e-6)


def test_pretrained_stacks_start_as_the_image_model(tmp_path):
    """Ten copies of one frame first have the features of the image, so that no pretraining is lost."""
    source = backbones.build("resnet18", weights="none", input_size=SIZE)
    path = tmp_path / "backbone.weights.h5"
    source.save_weights(path)
    image = snippets(0, 3, count=1)
    features = np.asarray(source(image[:, 0])[32]).mean(axis=(1, 2))
    for architecture in ("early_fusion", "slow_fusion"):
        model = video_models.build(video_config(architecture, backbone="resnet18", model__weights=str(path)), 3)
        pooled = video_models.keras.Model(model.inputs, model.get_layer("spatial_pool").output)
        repeated_image = np.tile(image, (1, 1, 1, 1, 10))
        np.testing.assert_allclose(pooled({"frames": repeated_image}), features, rtol=1e-3, atol=1e-4)
    clips = snippets(1, 30)
    reversed_frames = np.ascontiguousarray(clips.reshape(2, 1, SIZE, SIZE, 10, 3)[..., ::-1, :].reshape(clips.shape))
    model.compile(optimizer="sgd")
    model.fit({"frames": clips}, np.eye(3, dtype=np.float32)[:2], batch_size=2, verbose=0)
    logits, other = (np.asarray(model({"frames": some})["spatial"]) for some in (clips, reversed_frames))
    assert np.abs(logits - other).max() > 1e-4 * np.abs(logits).max()  # after a training step it is sensitive to time


def test_streams_are_trained_separately():
    settings = video_config(
        train__stages={"s": {"epochs": 1, "learning_rate": 1e-2, "train_streams": "temporal"}}, train__batch_size=2
    )
    task = tasks.create(settings, CLASSES)
    model = task.build()
    apply_stage(model, settings.train.stages["s"], settings.train)
    model.compile(optimizer="sgd")
    before = {variable.path: variable.numpy() for variable in model.variables}
    inputs = {"frames": snippets(0, 3), "flow": snippets(1, 6, scale=4.0)}
    model.fit(inputs, np.eye(3, dtype=np.float32)[:2], batch_size=2, verbose=0)
    changed = {
        variable.path.split("_")[0] for variable in model.variables if (variable.numpy() != before[variable.path]).any()
    }
    assert "temporal" in changed and "spatial" not in changed


def test_unsupported_settings_are_rejected():
    for settings, message in (
        (video_config("slow_fusion"), "lenet5 has no map of stride"),
        (video_config(video__fusion="svm", video__architecture="spatial"), "video.architecture=spatial has one"),
        (video_config(model__input_size=64), "can't be cropped from frames of 36 x 40"),
        (video_config(augment__mixup=0.2), "augment.mixup: video does not support it"),
        (video_config(augment__vertical_flip=True), "augment.vertical_flip: video supports only horizontal_flip"),
        (video_config(evaluate__tta="dihedral"), "set it to none .the center. or ten_crop"),
    ):
        with pytest.raises(UsageError, match=message):
            tasks.create(settings, CLASSES).build()
    stage = {"s": {"epochs": 1, "learning_rate": 1e-2, "train_streams": "temporal"}}
    alone = video_config("spatial", train__stages=stage)
    with pytest.raises(UsageError, match="no temporal stream"):
        apply_stage(tasks.create(alone, CLASSES).build(), alone.train.stages["s"], alone.train)

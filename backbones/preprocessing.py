"""How pixels are prepared for a set of pretrained weights: one plain record per set."""

import dataclasses

RGB = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How images were prepared when a set of weights was trained.

    `build` puts `(pixel - mean) / std` into the model as its first layer, so that no other code may normalize. The
    other fields describe what happens before the model: how the image is resized and how much of it is cropped.

    Attributes:
        mean: One float per channel, in RGB order and in units of pixel values 0..255.
        std: One float per channel, like `mean`.
        color_order: "RGB", or "BGR" if the first convolution expects blue first (Caffe). The model itself flips the
            channels.
        input_size: Side in pixels at which the weights were trained and scored.
        interpolation: "bilinear" or "bicubic".
        crop_fraction: Fraction of the side that the center crop keeps (0.875 = 224 of 256).
        source: Where these facts come from.
    """

    mean: RGB = (0.0, 0.0, 0.0)
    std: RGB = (1.0, 1.0, 1.0)
    color_order: str = "RGB"
    input_size: int = 224
    interpolation: str = "bilinear"
    crop_fraction: float = 0.875
    source: str = ""


TORCH = Preprocessing(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    source="ImageNet transforms of torchvision; mode 'torch' of keras.applications",
)
CAFFE = Preprocessing(
    mean=(123.68, 116.779, 103.939),
    color_order="BGR",
    source="Caffe models of the authors of VGG and ResNet; mode 'caffe' of keras.applications",
)
PLUS_MINUS_ONE = Preprocessing(
    mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5), source="mode 'tf' of keras.applications"
)
LITE = Preprocessing(
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    interpolation="bicubic",
    source="tensorflow/tpu efficientnet/lite: MEAN_RGB 127, STDDEV_RGB 128, bicubic",
)
UNIT_128 = Preprocessing(
    mean=(128.0, 128.0, 128.0),
    std=(128.0, 128.0, 128.0),
    source="keras.applications EfficientNetV2 S, M, L: x / 128 - 1",
)
UNIT = Preprocessing(
    std=(255.0, 255.0, 255.0), crop_fraction=1.0, source="pixels between 0 and 1, so that padding is black"
)
CAFFE_BN_INCEPTION = Preprocessing(
    mean=(128.0, 117.0, 104.0), color_order="BGR", source="bn_inception of Cadene's pretrained-models.pytorch"
)

"""What pixels must go through before a set of weights makes sense of them: plain records, one for each set."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How pictures were prepared when a set of weights was trained.

    `build` puts `(pixel - mean) / deviation` inside the model as its first layer, so nobody else may normalise. The
    other fields say what happens before the model: how the picture is resized and how much of it is cropped.

    mean, deviation: three floats each, in RGB order and in units of pixel values 0..255.
    colour_order: "RGB", or "BGR" where the first convolution wants blue first (caffe); the model turns them itself.
    input_size: pixels a side that the weights were trained and scored at.
    resize: "bilinear" or "bicubic"; crop_fraction: share of the side that the centre crop keeps (0.875 = 224 of 256).
    source: where these facts are from.
    """

    mean: tuple = (0.0, 0.0, 0.0)
    deviation: tuple = (1.0, 1.0, 1.0)
    colour_order: str = "RGB"
    input_size: int = 224
    resize: str = "bilinear"
    crop_fraction: float = 0.875
    source: str = ""


TORCH = Preprocessing(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    deviation=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    source="torchvision's ImageNet transforms; keras.applications mode 'torch'",
)
CAFFE = Preprocessing(
    mean=(123.68, 116.779, 103.939),
    colour_order="BGR",
    source="the VGG and ResNet authors' caffe models; keras.applications mode 'caffe'",
)
PLUS_MINUS_ONE = Preprocessing(
    mean=(127.5, 127.5, 127.5), deviation=(127.5, 127.5, 127.5), source="keras.applications mode 'tf'"
)
LITE = Preprocessing(
    mean=(127.0, 127.0, 127.0),
    deviation=(128.0, 128.0, 128.0),
    resize="bicubic",
    source="tensorflow/tpu efficientnet/lite: MEAN_RGB 127, STDDEV_RGB 128, bicubic",
)
UNIT_128 = Preprocessing(
    mean=(128.0, 128.0, 128.0),
    deviation=(128.0, 128.0, 128.0),
    source="keras.applications EfficientNetV2 S, M, L: x / 128 - 1",
)
UNIT = Preprocessing(
    deviation=(255.0, 255.0, 255.0), crop_fraction=1.0, source="pixels between 0 and 1, so that padding is black"
)
CAFFE_GREY = Preprocessing(
    mean=(128.0, 117.0, 104.0), colour_order="BGR", source="Cadene's pretrained-models.pytorch, bn_inception"
)

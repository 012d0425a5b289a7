"""Real weights: backbones classify images of Debian's opencv-doc (`apt-get install opencv-doc`), and HED's trunk draws
edges. Tests whose weights are not installed are skipped.
"""

import os
from pathlib import Path

import cv2
import h5py
import keras
import numpy as np
import pytest

from retinue import backbones
from retinue.backbones.weights import _locate
from retinue.configs.errors import RetinueError

IMAGES = Path(os.environ.get("RETINUE_IMAGES", "/usr/share/doc/opencv-doc/examples/data"))
# Class names of ImageNet that count as correct: the orange may be a lemon, and ImageNet has six butterflies.
BUTTERFLIES = ("admiral", "ringlet", "monarch", "cabbage butterfly", "sulphur butterfly", "lycaenid")
EXPECTED = {
    "squirrel_cls.jpg": ("fox squirrel",),
    "baboon.jpg": ("baboon",),
    "orange.jpg": ("orange", "lemon"),
    "butterfly.jpg": BUTTERFLIES,
    "messi5.jpg": ("soccer ball",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_efficientnet_lite_classifies_images(name):
    if not IMAGES.is_dir():
        pytest.skip("opencv-doc is not installed")
    classes = (IMAGES / "dnn" / "classification_classes_ILSVRC2012.txt").read_text().splitlines()
    model = backbones.build(name, classifier=True)
    side = backbones.preprocessing(name).input_size
    for file, expected in EXPECTED.items():
        image = cv2.resize(cv2.imread(str(IMAGES / file))[..., ::-1], (side, side), interpolation=cv2.INTER_CUBIC)
        logits = model(image[None].astype("float32"))["logits"][0]
        assert classes[int(np.argmax(logits))].split(",")[0] in expected, file


def draw_shapes(side=256):
    """Return three shapes under noise, float32 `[side, side, 3]`, and their true borders, bool `[side, side]`."""
    y, x = np.mgrid[:side, :side]
    shapes = {
        (200, 180, 60): (x - 80) ** 2 + (y - 90) ** 2 < 50**2,
        (60, 40, 50): (x > 140) & (x < 225) & (y > 40) & (y < 120),
        (160, 60, 60): (y > 150) & (y < 230) & (np.abs(x - 160) < (y - 150) * 0.8),
    }
    image = np.full((side, side, 3), (90, 110, 140), np.float32)
    border = np.zeros((side, side), bool)
    for color, inside in shapes.items():
        image[inside] = color
        border[:, 1:] |= inside[:, 1:] != inside[:, :-1]
        border[1:] |= inside[1:] != inside[:-1]
    return np.clip(image + np.random.default_rng(0).normal(0, 20, image.shape), 0, 255).astype("float32"), border


def edges(model, image, file):
    """Compute HED (Xie and Tu 2015, section 3) on our trunk: the fused side outputs `[h, w]`, before the sigmoid."""
    ends = [model.get_layer(f"conv{name}_relu").output for name in ("1_2", "2_2", "3_3", "4_3", "5_3")]
    fused = 0.0
    for stage, maps in enumerate(keras.Model(model.input, ends)(image[None]), start=1):
        kernel, bias = (file[f"dsn{stage}/vars/{number}"][()] for number in (0, 1))
        side = np.asarray(maps)[0] @ kernel[0, 0, :, 0] + bias[0]
        fused = fused + file["fuse/vars/0"][0, 0, stage - 1, 0] * cv2.resize(side, image.shape[1::-1])
    return fused


def fraction_at_border(strength, border):
    """Return which fraction of the 5% most likely edge pixels is within 3 pixels of a true border."""
    distance = cv2.distanceTransform((~border).astype("uint8"), cv2.DIST_L2, 5)
    return np.mean(distance[strength >= np.quantile(strength, 0.95)] <= 3)


@pytest.mark.slow
def test_the_trunk_of_hed_draws_edges():
    try:
        model = backbones.build("vgg16_hed")
    except RetinueError as error:
        pytest.skip(str(error))
    image, border = draw_shapes()
    gray = image.mean(axis=2)
    sobel = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    with h5py.File(_locate("imagenet", "vgg16_hed", model)) as file:
        trained = fraction_at_border(edges(model, image, file), border)
        untrained = fraction_at_border(edges(backbones.build("vgg16_hed", "none"), image, file), border)
    assert trained > 0.95  # measured: 0.99
    assert fraction_at_border(sobel, border) < 0.6  # measured: 0.46, because the noise has gradients too
    assert untrained < 0.2  # measured: 0.00

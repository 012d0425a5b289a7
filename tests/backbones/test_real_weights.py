"""Real weights do real work: the nets name what is in photos of Debian's opencv-doc (`apt-get install opencv-doc`)."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from retinue import backbones

PHOTOS = Path(os.environ.get("RETINUE_PHOTOS", "/usr/share/doc/opencv-doc/examples/data"))
EXPECTED = {
    "squirrel_cls.jpg": "squirrel",
    "baboon.jpg": "baboon",
    "orange.jpg": "orange",
    "butterfly.jpg": "monarch",
    "messi5.jpg": "soccer ball",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", backbones.names("efficientnet_lite"))
def test_lite_names_the_things_in_photos(name):
    if not PHOTOS.is_dir():
        pytest.skip("opencv-doc is not installed")
    classes = (PHOTOS / "dnn" / "classification_classes_ILSVRC2012.txt").read_text().splitlines()
    model = backbones.build(name, classifier=True)
    side = backbones.preprocessing(name).input_size
    for photo, expected in EXPECTED.items():
        image = cv2.resize(cv2.imread(str(PHOTOS / photo))[..., ::-1], (side, side), interpolation=cv2.INTER_CUBIC)
        logits = model(image[None].astype("float32"))["logits"][0]
        assert expected in classes[int(np.argmax(logits))], photo

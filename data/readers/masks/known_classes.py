"""The classes of public data sets for segmentation whose masks come without a file of class names."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from retinue.data.void_label import VOID


@dataclass(frozen=True)
class KnownClasses:
    """The classes of a public data set.

    Attributes:
        data_set: The name of the data set, for messages.
        names: The class names.
        values: The pixel value of each class.
        void: The pixel values that mean void, besides 255.
        no_label: Those of them that mean no label whatever the names of the classes are.
    """

    data_set: str
    names: tuple[str, ...]
    values: tuple[int, ...]
    void: tuple[int, ...] = ()
    no_label: tuple[int, ...] = ()

    @property
    def all_values(self) -> set[int]:
        """The values that masks of this data set can hold."""
        return {*self.values, *self.void, VOID}


_VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOC = KnownClasses("Pascal VOC", _VOC_NAMES, tuple(range(21)))

# cityscapesScripts/helpers/labels.py: the classes that are evaluated, with their id and their trainId.
_CITYSCAPES_NAMES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
CITYSCAPES_IDS = KnownClasses(
    "Cityscapes",
    _CITYSCAPES_NAMES,
    _CITYSCAPES_IDS,
    tuple(value for value in range(34) if value not in _CITYSCAPES_IDS),
)
CITYSCAPES_TRAIN_IDS = KnownClasses("Cityscapes", _CITYSCAPES_NAMES, tuple(range(19)))

# SegNet-Tutorial, Scripts/test_segmentation_camvid.py: eleven classes, and 11 for what has no label.
_CAMVID_NAMES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian"),
    "bicyclist",
)
CAMVID = KnownClasses("SegNet's CamVid", _CAMVID_NAMES, tuple(range(11)), (11,))

# The README of the scene parsing benchmark: ids from 1 to 150 in the order of objectInfo150.txt, and 0 for other
# objects, which are not scored.
ADE20K = KnownClasses("ADE20K", tuple(f"class {number}" for number in range(1, 151)), tuple(range(1, 151)), (0,), (0,))

# The README of LoveDA: the regions without data have the value 0, and are to be ignored.
_LOVEDA_NAMES = ("background", "building", "road", "water", "barren", "forest", "agriculture")
LOVEDA = KnownClasses("LoveDA", _LOVEDA_NAMES, tuple(range(1, 8)), (0,), (0,))

# annotations/README of the data set: 1 foreground, 2 background, 3 not classified.
PETS = KnownClasses("the Oxford-IIIT pets' trimaps", ("pet", "background", "border"), (1, 2, 3))

COCO_STUFF_NAMES = 182  # of COCO-Stuff's labels.txt, which begins with 0: unlabeled and 1: person


def is_coco_stuff(names: Sequence[str], void: Mapping[str, int]) -> bool:
    """Return whether these are the names of COCO-Stuff, whose PNG files hold ids from 0 on and 255 for unlabeled."""
    return len(names) == COCO_STUFF_NAMES and names[0] == "person" and void == {"unlabeled": 0}


def known_classes(root: str, folders: Collection[str], masks: Collection[str], list_text: str) -> KnownClasses | None:
    """Return the classes of a public data set that names and lists of files tell, or None.

    Args:
        root: The folder of the source.
        folders: The folders of the masks, relative to the root.
        masks: The paths of some of the masks.
        list_text: The beginning of a list of the images, or "".
    """
    names = [os.path.basename(path) for path in masks]
    if all(re.search(r"_gt(Fine|Coarse)_labelTrainIds\.", name) for name in names):
        return CITYSCAPES_TRAIN_IDS
    if all(re.search(r"_gt(Fine|Coarse)_labelIds\.", name) for name in names):
        return CITYSCAPES_IDS
    if all(re.match(r"ADE_(train|val)_\d+\.png$", name) for name in names):
        return ADE20K
    innermost = [os.path.basename(folder) for folder in folders]
    outer = {os.path.basename(os.path.dirname(os.path.join(root, folder))) for folder in folders}
    if set(innermost) == {"masks_png"} and outer <= {"Rural", "Urban"}:
        return LOVEDA
    if set(innermost) == {"trimaps"} and outer == {"annotations"}:
        return PETS
    if all(name.startswith("SegmentationClass") for name in innermost):
        return VOC
    texts = (os.path.basename(os.path.abspath(root)), *folders, list_text)
    if all(name.endswith("annot") for name in innermost) and any("camvid" in text.lower() for text in texts):
        return CAMVID
    return None

"""The choice between the explanations of a source."""

import pytest

from retinue.configs.errors import UsageError
from retinue.data.readers.explanation import Explanation, choose


def explanation(name, images, *, tasks=("detection",), source="data", **options):
    """Return an explanation of images that are named by numbers."""
    paths = frozenset(f"{number}.jpg" for number in images)
    return Explanation(name, tasks, source, paths, f"{name} files", read=None, **options)


def test_the_one_that_explains_most_images_wins():
    few, many = explanation("voc", range(5)), explanation("yolo", range(100))
    assert choose("data", [few, many], "auto") is many


def test_labels_in_files_win_over_names_of_folders_only_if_they_explain_as_much():
    folders = explanation("class folders", range(100), tasks=("classification",), implicit=True)
    assert choose("data", [folders, explanation("voc", range(95))], "auto").format == "voc"
    assert choose("data", [folders, explanation("labelme", range(1))], "auto").format == "class folders"


def test_labels_of_objects_win_over_folders_if_some_of_the_images_have_them():
    folders = explanation("class folders", range(100), tasks=("classification",), implicit=True)
    boxes = explanation("coco", range(10))
    assert choose("data", [folders, boxes], "auto") is boxes  # the others are unlabeled, crops or figures
    assert choose("data", [folders, boxes], "classification") is folders
    assert choose("data", [folders, explanation("coco", range(9))], "auto") is folders
    elsewhere = explanation("coco", range(100, 120))
    assert choose("data", [folders, elsewhere], "auto") is folders


def test_two_sets_of_different_images_are_both_named():
    boxes = explanation("coco", range(10), source="data/a")
    others = explanation("voc", range(10, 15), source="data/b")
    with pytest.raises(UsageError, match=r"coco .*\(retinue check data/a\) or as voc .*\(retinue check data/b\)"):
        choose("data", [boxes, others], "auto")
    assert choose("data", [boxes, explanation("voc", range(5))], "auto") is boxes  # of the same images
    few = explanation("voc", range(100, 105))
    assert choose("data", [explanation("coco", range(60)), few], "auto").format == "coco"


def test_if_no_command_tells_two_apart_the_cure_is_to_move_one_away():
    coco, labelme = explanation("coco", range(10)), explanation("labelme", range(10))
    with pytest.raises(UsageError) as raised:
        choose("data", [coco, labelme], "auto")
    assert str(raised.value) == (
        "data: it can be read as coco in coco files or as labelme in labelme files; move the files of all but one to "
        "another folder"
    )


def test_a_copy_of_other_annotations_loses_to_them():
    table = explanation("boxes csv", range(100), repeats=("voc",), source="data/boxes.csv")
    assert choose("data", [table, explanation("voc", range(95))], "auto").format == "voc"
    other = explanation("voc", range(100, 200), source="data/other")
    with pytest.raises(UsageError, match="boxes csv in .* or as voc"):
        choose("data", [table, other], "auto")


def test_two_that_are_about_as_good_are_both_named_with_their_commands():
    coco = explanation("coco", range(100), source="data/my boxes.json")
    yolo = explanation("yolo", range(95), source="data/labels")
    with pytest.raises(UsageError) as raised:
        choose("data", [coco, yolo], "auto")
    assert str(raised.value) == (
        "data: it can be read as coco in coco files (retinue check 'data/my boxes.json') or as yolo in yolo files "
        "(retinue check data/labels); give one of these"
    )


def test_the_task_decides_between_two_of_the_same_source():
    boxes = explanation("voc", range(10))
    masks = explanation("mask folders", range(10), tasks=("segmentation",))
    assert choose("data", [boxes, masks], "segmentation") is masks
    with pytest.raises(UsageError, match=r"\(retinue check data --task detection\).*\(retinue check data --task segm"):
        choose("data", [boxes, masks], "auto")


def test_a_task_that_nothing_can_be_read_for_is_refused():
    with pytest.raises(UsageError, match="^data: voc can't be read for video; it is data for detection$"):
        choose("data", [explanation("voc", range(3))], "video")


def test_one_that_can_be_read_wins_over_one_that_cannot():
    broken = explanation("cvat", range(100), problem="its images are not there")
    fine = explanation("voc", range(10))
    assert choose("data", [broken, fine], "auto") is fine
    assert choose("data", [broken], "auto") is broken


def test_without_images_the_one_with_most_annotations_wins():
    few, many = explanation("voc", (), num_annotations=2), explanation("labelme", (), num_annotations=9)
    assert choose("data", [few, many], "auto") is many


def test_class_folders_lose_to_masks_of_most_of_their_images():
    folders = explanation("class folders", range(30), tasks=("classification",), implicit=True)
    masks = frozenset(f"mask {number}.jpg" for number in range(20))
    pairs = explanation("mask folders", range(20), tasks=("segmentation",), mask_images=masks)
    assert choose("data", [folders, pairs], "auto") is pairs  # 10 images have no mask
    few = explanation("mask folders", range(10), tasks=("segmentation",), mask_images=masks)
    assert choose("data", [folders, few], "auto") is folders

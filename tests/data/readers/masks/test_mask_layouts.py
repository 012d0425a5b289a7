"""Layouts of public data sets for segmentation: which masks belong to which images, in which splits."""

import cv2
import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.mask_file import read_mask
from retinue.data.readers.read import read, understand

SIZE = (12, 16)  # height and width in pixels


def write_image(path, size=SIZE, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(path)


def write_mask(path, values=(0, 1), size=SIZE):
    """Write stripes of values, or of colors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stripes = np.array_split(np.arange(size[1]), len(values))
    index = np.concatenate([np.full(len(stripe), number) for number, stripe in enumerate(stripes)])
    Image.fromarray(np.array(values, np.uint8)[np.tile(index, (size[0], 1))]).save(path)


def pairs_of(dataset, folder):
    """Return the path of the mask of each image, relative to the folder."""
    return {
        file.removeprefix(f"{folder}/"): mask.removeprefix(f"{folder}/")
        for file, mask in zip(dataset.files, dataset.columns["mask"], strict=True)
    }


# The name of an image and of its mask, with {} for the name that they share; and the split.
LAYOUTS = {
    "mmsegmentation": [
        ("img_dir/train/{}.jpg", "ann_dir/train/{}.png", "train"),
        ("img_dir/val/{}.jpg", "ann_dir/val/{}.png", "val"),
    ],
    "mmsegmentation flat": [("img_dir/{}.jpg", "ann_dir/{}.png", "")],
    "image and label": [("image/{}.jpg", "label/{}.png", "")],
    "a word for images in the names of masks": [("images/photo {}.png", "masks/photo {}.png", "")],
    "inputs and targets": [("inputs/{}.png", "targets/{}.png", "")],
    "x and y": [("x/{}.png", "y/{}.png", "")],
    "folders of any names": [("left hand/{}.png", "outlines/{}.png", "")],
    "SegNet's CamVid": [
        ("train/{}.png", "trainannot/{}.png", "train"),
        ("val/{}.png", "valannot/{}.png", "val"),
        ("test/{}.png", "testannot/{}.png", "test"),
    ],
    "CamVid": [("701_StillsRaw_full/{}.png", "LabeledApproved_full/{}_L.png", "")],
    "fastai's CamVid": [("images/{}.png", "labels/{}_P.png", "")],
    "training images": [("Training_Images/{}.jpg", "Ground_Truth/{}.png", "train")],
    "ADE20K": [
        ("images/training/{}.jpg", "annotations/training/{}.png", "train"),
        ("images/validation/{}.jpg", "annotations/validation/{}.png", "val"),
    ],
    "ADE20K, nested": [
        ("images/ADE/training/urban/street/{}.jpg", "images/ADE/training/urban/street/{}_seg.png", "train"),
        ("images/ADE/training/nature/lake/{}.jpg", "images/ADE/training/nature/lake/{}_seg.png", "train"),
    ],
    "beside": [("{}.jpg", "{}.png", "")],
    "ending beside": [("{}.jpg", "{}_mask.png", "")],
    "hyphen": [("{}.jpg", "{}-mask.png", "")],
    "before": [("imgs/{}.jpg", "masks/mask_{}.png", "")],
    "DeepGlobe": [("train/{}_sat.jpg", "train/{}_mask.png", "train")],
    "word within": [("scans/p_image_{}.png", "scans/p_label_{}.png", "")],
    "ISIC": [("ISIC-2017_Training_Data/{}.jpg", "ISIC-2017_Training_Part1_GroundTruth/{}_segmentation.png", "")],
    "Carvana": [("train/{}.jpg", "train_masks/{}_mask.gif", "train")],
    "suffix in the name": [("images/{}.jpg", "masks/{}.jpg.png", "")],
    "a word of its own": [("scans/{}.png", "scans/{}_tumorborder.png", "")],
    "Roboflow": [
        ("train/{}_jpg.rf.1a2b.jpg", "train/{}_jpg.rf.1a2b_mask.png", "train"),
        ("valid/{}_jpg.rf.1a2b.jpg", "valid/{}_jpg.rf.1a2b_mask.png", "val"),
    ],
    "a folder for each image": [("{}/image.png", "{}/mask.png", "")],
    "a folder for each image, of folders": [("{}/images/{}.png", "{}/masks/{}.png", "")],
    "labelme_json": [("{}_json/img.png", "{}_json/label.png", "")],
    "Massachusetts": [
        ("train/sat/{}.tiff", "train/map/{}.tif", "train"),
        ("valid/sat/{}.tiff", "valid/map/{}.tif", "val"),
    ],
    "wrapped": [("archive/data/images/{}.jpg", "archive/data/masks/{}.png", "")],
    "images in several folders": [("train/{}.jpg", "masks/{}.png", "train"), ("val/{}.jpg", "masks/{}.png", "val")],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_are_matched_to_their_images(tmp_path, layout):
    expected, splits = {}, []
    for number, (image, mask, split) in enumerate(LAYOUTS[layout]):
        for name in ("0001", "0002", "0013"):
            name = f"{name}_{number}"
            image_name, mask_name = image.replace("{}", name), mask.replace("{}", name)
            write_image(tmp_path / image_name, seed=number)
            write_mask(tmp_path / mask_name, (0, 3, 7))
            expected[image_name] = mask_name
            splits.append((image_name, split))
    dataset = read(tmp_path)
    assert (dataset.task, dataset.format) == ("segmentation", "mask folders")
    assert pairs_of(dataset, tmp_path) == expected
    assert list(dataset.splits) == [split for _, split in sorted(splits)]
    if layout != "Carvana":  # Pillow numbers the gray levels of a GIF anew
        assert dataset.classes == ("background", "class 3", "class 7")
    assert {finding.severity for finding in dataset.findings} <= {"note"}


def test_cityscapes_is_read_with_one_of_its_kinds_of_masks(tmp_path):
    for split, city in (("train", "aachen"), ("val", "bonn")):
        for number in (19, 20):
            name = f"{city}_000000_{number:06d}"
            write_image(tmp_path / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png", seed=number)
            folder = tmp_path / f"gtFine/{split}/{city}"
            write_mask(folder / f"{name}_gtFine_labelIds.png", (0, 7, 26))
            write_mask(folder / f"{name}_gtFine_instanceIds.png", (0, 7, 26))
            write_mask(folder / f"{name}_gtFine_color.png", [(0, 0, 0), (128, 64, 128), (0, 0, 142)])
    dataset = read(tmp_path)
    assert list(dataset.splits) == ["train", "train", "val", "val"]
    assert all(mask.endswith("_labelIds.png") for mask in dataset.columns["mask"])
    assert len(dataset.classes) == 19
    ids = read_mask(dataset.columns["mask"][0], dataset.columns["values"][0], 19)
    assert sorted(set(ids.ravel().tolist())) == [0, 13, 255]  # road, car and what is not evaluated
    reasons = {finding.kind: finding.reason for finding in dataset.findings}
    assert "_gtFine_labelIds.png is read, and" in reasons["several kinds of masks"]
    assert "the 19 of Cityscapes" in reasons["class names"]


def test_numbered_masks_of_one_image_are_united(tmp_path):
    for name in ("benign (1)", "malignant (1)"):
        folder = tmp_path / name.split()[0]
        write_image(folder / f"{name}.png")
        write_mask(folder / f"{name}_mask.png", (255, 0, 0, 0))
    write_mask(tmp_path / "benign/benign (1)_mask_1.png", (0, 0, 0, 255))
    dataset = read(tmp_path)
    assert [len(masks) for masks in map(dataset.columns["object_masks"].__getitem__, range(2))] == [2, 1]
    rows = [
        read_mask(mask, values, 2)[0]
        for mask, values in zip(dataset.columns["mask"], dataset.columns["values"], strict=True)
    ]
    assert rows[0].tolist() == [1] * 4 + [0] * 8 + [1] * 4 and rows[1].tolist() == [1] * 4 + [0] * 12
    classes = read(tmp_path, "classification")
    assert (classes.classes, len(classes)) == (("benign", "malignant"), 2)
    assert [finding.kind for finding in classes.findings] == ["masks"]


@pytest.mark.parametrize(
    ("image", "masks"), [("{}/images/{}.png", "{}/masks/m{}.png"), ("images/{}.png", "masks/{}/{}.png")]
)
def test_a_mask_for_each_object_becomes_foreground(tmp_path, image, masks):
    for name in ("cells", "more"):
        write_image(tmp_path / image.format(name, name))
        for number in range(3):
            values = [0] * 4
            values[number] = 255
            write_mask(tmp_path / masks.format(name, number), values)
    dataset = read(tmp_path)
    assert dataset.classes == ("background", "foreground") and len(dataset) == 2
    assert [len(dataset.columns["object_masks"][row]) for row in range(2)] == [3, 3]
    ids = read_mask(dataset.columns["mask"][0], dataset.columns["values"][0], 2)
    assert ids[0].tolist() == [1] * 12 + [0] * 4
    write_mask(tmp_path / masks.format("more", 1), [0, 255], size=(3, 3))
    dataset = read(tmp_path)  # what was united before is not used again
    assert len(dataset) == 1 and "broken mask" in {finding.kind for finding in dataset.findings}


def test_lists_of_another_machine_give_the_splits(tmp_path):
    for name in ("a b", "c", "d", "e"):
        write_image(tmp_path / f"images/{name}.png")
        write_mask(tmp_path / f"labels/{name}.png")
    (tmp_path / "train.txt").write_text("/home/x/images/a b.png /home/x/labels/a b.png\n/home/x/images/c.png 1\n")
    (tmp_path / "val.txt").write_text("C:\\data\\images\\d.png\nC:\\data\\images\\gone.png\n")
    dataset = read(tmp_path)
    assert dict(zip((name.rpartition("/")[2] for name in dataset.files), dataset.splits, strict=True)) == {
        "a b.png": "train",
        "c.png": "train",
        "d.png": "val",
    }
    kinds = [finding.kind for finding in dataset.findings]
    assert "listed, not there" in kinds and "not listed" in kinds


def test_images_in_no_list_are_the_training_set_where_only_others_are_listed(tmp_path):
    for name in ("a", "b", "c"):  # as in fastai's CamVid
        write_image(tmp_path / f"images/{name}.png")
        write_mask(tmp_path / f"labels/{name}_P.png")
    (tmp_path / "valid.txt").write_text("b.png\n")
    dataset = read(tmp_path)
    assert list(dataset.splits) == ["train", "val", "train"]
    assert [finding.action for finding in dataset.findings if finding.kind == "not listed"] == [
        "taken as the training set, which has no list"
    ]
    (tmp_path / "train.txt").write_text("a.png\n")
    assert list(read(tmp_path).splits) == ["train", "val"]


def test_a_table_with_a_column_of_splits_gives_the_splits(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.png")
        write_mask(tmp_path / f"labels/{name}.png")
    (tmp_path / "split.csv").write_text("image,split\na,train\nb.png,valid\n")
    assert list(read(tmp_path, "segmentation").splits) == ["train", "val"]


def test_two_kinds_of_masks_that_suit_equally_are_refused(tmp_path):
    for name in ("21", "22", "23"):
        write_image(tmp_path / f"images/{name}.tif")
        write_mask(tmp_path / f"manual labels/{name}.png", (0, 255, 0, 0))
        write_mask(tmp_path / f"fov mask/{name}.png", (0, 255, 255, 0))
    with pytest.raises(RetinueError, match="2 kinds of masks: fov mask/.*50% of.*field of view.*, manual labels.*25%"):
        read(tmp_path)
    with pytest.raises(RetinueError, match="move the others out of this folder, or list the pairs in a CSV"):
        read(tmp_path)


def test_the_first_annotators_masks_of_vessels_are_read(tmp_path):
    for name in ("21", "22", "23"):
        write_image(tmp_path / f"drive/training/images/{name}_training.tif")
        write_mask(tmp_path / f"drive/training/1st_manual/{name}_manual1.gif", (0, 255))
        write_mask(tmp_path / f"drive/training/2nd_manual/{name}_manual2.gif", (0, 255, 255))
        write_mask(tmp_path / f"drive/training/mask/{name}_training_mask.gif", (0, 255, 255))
        write_image(tmp_path / f"chase/Image_{name}L.jpg")
        write_mask(tmp_path / f"chase/Image_{name}L_1stHO.png", (0, 255))
        write_mask(tmp_path / f"chase/Image_{name}L_2ndHO.png", (0, 255, 255))
    for folder, mask in (("drive", "training/1st_manual/21_manual1.gif"), ("chase", "Image_21L_1stHO.png")):
        dataset = read(tmp_path / folder)
        assert dataset.columns["mask"][0] == str(tmp_path / folder / mask) and len(dataset) == 3
        assert [finding.kind for finding in dataset.findings][0] == "several kinds of masks"


def test_a_folder_of_masks_for_each_class_becomes_one_mask(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.png")
        write_mask(tmp_path / f"masks/leftMask/{name}.png", (0, 255, 0, 0))
        write_mask(tmp_path / f"masks/rightMask/{name}.png", (0, 0, 0, 255))
    dataset = read(tmp_path)
    assert dataset.classes == ("background", "leftMask", "rightMask")
    mask = read_mask(dataset.columns["mask"][1], dataset.columns["values"][1], 3)
    assert mask.tolist() == [[0] * 4 + [1] * 4 + [0] * 4 + [2] * 4] * 12
    assert "masks of classes" in [finding.kind for finding in dataset.findings]
    write_mask(tmp_path / "masks/rightMask/b.png", (0, 255, 255, 0))
    with pytest.raises(RetinueError, match=r"leftMask/\*.png \(marks 25%.*rightMask.*no pixel is in two of them"):
        read(tmp_path)


def test_folders_with_the_numbers_of_some_images_are_no_folders_of_masks_of_objects(tmp_path):
    for number in range(6):  # as in CelebAMask-HQ
        write_image(tmp_path / f"images/{number}.jpg")
        write_mask(tmp_path / f"masks/{number // 3}/{number:05d}_skin.png")
    for task in ("auto", "segmentation"):
        with pytest.raises(RetinueError, match="6 files look like masks, such as .*00000_skin.png, but no image has"):
            read(tmp_path, task)


def test_a_mask_for_each_class_beside_the_image_becomes_one_mask(tmp_path):
    for name in ("a1", "a2", "a3"):
        write_image(tmp_path / f"{name}.png")
        write_mask(tmp_path / f"{name}_Liver.png", (0, 255, 0, 0))
        write_mask(tmp_path / f"{name}_Spleen.png", (0, 0, 0, 255))
    dataset = read(tmp_path)
    assert dataset.classes == ("background", "liver", "spleen") and len(dataset) == 3
    assert read_mask(dataset.columns["mask"][0], dataset.columns["values"][0], 3)[0, ::4].tolist() == [0, 1, 0, 2]


def test_masks_in_two_forms_of_names_are_all_read(tmp_path):
    for name in ("a1", "a2", "b1", "b2"):
        write_image(tmp_path / f"images/{name}.png")
        write_mask(tmp_path / f"masks/{name}{'_mask' * (name[0] == 'b')}.png")
    assert len(read(tmp_path)) == 4


def test_the_kind_of_mask_that_names_recommend_is_read(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"JPEGImages/{name}.jpg")
        write_mask(tmp_path / f"SegmentationClass/{name}.png", (0, 1, 2))
        write_mask(tmp_path / f"SegmentationObject/{name}.png", (0, 1, 2))
        write_image(tmp_path / f"SegmentationClassVisualization/{name}.jpg")
    (tmp_path / "class_names.txt").write_text("background\ncat\ndog\n")
    dataset = read(tmp_path)
    assert (dataset.format, dataset.classes) == ("voc", ("background", "cat", "dog"))
    assert all("SegmentationClass/" in mask for mask in dataset.columns["mask"])
    assert [finding.kind for finding in dataset.findings] == ["several kinds of masks", "drawings of masks"]


def test_masks_of_other_sizes_are_masks_if_the_names_say_so(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.jpg")
        write_mask(tmp_path / f"masks/{name}.png", size=(6, 8))
    assert read(tmp_path).task == "segmentation"


def test_class_folders_of_equal_names_are_no_masks(tmp_path):
    for name in ("1", "2", "3"):
        write_image(tmp_path / f"images of cats/{name}.png", seed=1)
        write_image(tmp_path / f"dogs/{name}.png", seed=2)
        write_mask(tmp_path / f"drawings/{name}.png", size=(20, 9))  # few colors, and not the size of the others
    assert read(tmp_path).classes == ("dogs", "drawings", "images of cats")


def test_masks_win_over_class_folders_only_where_they_are_asked_for(tmp_path):
    for number in range(20):
        write_image(tmp_path / f"cat/{number}.jpg", seed=number)
        write_image(tmp_path / f"dog/d{number}.jpg", seed=number)
    write_mask(tmp_path / "cat/3_mask.png")
    assert understand(str(tmp_path)).format == "class folders"
    assert len(read(tmp_path)) == 40
    assert len(read(tmp_path, "segmentation")) == 1


def test_a_data_set_without_masks_is_not_read_for_segmentation(tmp_path):
    for name in ("cat/1.jpg", "dog/2.jpg"):
        write_image(tmp_path / name)
    with pytest.raises(UsageError, match="can't be read for segmentation"):
        read(tmp_path, "segmentation")


def test_a_color_of_a_source_without_a_color_file_is_a_class(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.png")
    write_mask(tmp_path / "masks/a.png", [(0, 0, 0)])  # gray, like ids
    write_mask(tmp_path / "masks/b.png", [(0, 0, 0), (255, 0, 128)])
    dataset = read(tmp_path)
    assert dataset.classes == ("#000000", "#ff0080")
    assert read_mask(dataset.columns["mask"][1], dataset.columns["values"][1], 2)[0].tolist() == [0] * 8 + [1] * 8
    assert not read_mask(dataset.columns["mask"][0], dataset.columns["values"][0], 2).any()
    assert "color 255,0,128 (25.0%)" in dataset.findings[0].reason
    (tmp_path / "palette.txt").write_text("sky 0 0 0\nsea 255 0 128\n")
    assert read(tmp_path).classes == ("sky", "sea")


def test_hundreds_of_colors_are_refused(tmp_path):
    for number in range(4):
        write_image(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", [(50 * number, 10 * value, 9) for value in range(16)])
    assert len(read(tmp_path).classes) == 64
    for number in range(4, 8):
        write_image(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", [(20 * number, 10 * value, 99) for value in range(16)])
    with pytest.raises(RetinueError, match="128 colors and no file names them.*each object has its own color"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "classes"),
    [
        ("_classes.csv", "Pixel Value, Class\n0, background\n1, car\n", ("background", "car")),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:1,1,1:wheel,door:\n",
            ("background", "car"),
        ),
        ("class_dict.csv", "name, r, g, b\nbackground, 0, 0, 0\ncar, 1, 1, 1\n", ("background", "car")),
        ("codes.txt", "background\ncar\n", ("background", "car")),
    ],
)
def test_files_of_classes_of_tools_are_read(tmp_path, name, text, classes):
    write_image(tmp_path / "images/a.png")
    write_mask(tmp_path / "masks/a.png")
    (tmp_path / name).write_text(text)
    dataset = read(tmp_path)
    assert dataset.classes == classes
    assert read_mask(dataset.columns["mask"][0], dataset.columns["values"][0], 2)[0].tolist() == [0] * 8 + [1] * 8


def test_folders_of_labelme_must_have_equal_names(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}_json/img.png")
        write_mask(tmp_path / f"{name}_json/label.png")
        write_image(tmp_path / f"{name}_json/label_viz.png")
        (tmp_path / f"{name}_json/label_names.txt").write_text("_background_\ncat\n")
    assert read(tmp_path).classes == ("_background_", "cat")
    (tmp_path / "b_json/label_names.txt").write_text("_background_\ndog\n")
    with pytest.raises(RetinueError, match="b_json/label_names.txt: its classes are not those of .*a_json"):
        read(tmp_path)


def test_classes_of_one_data_set_are_not_given_to_another(tmp_path):
    for name in ("birds", "trees"):
        write_image(tmp_path / f"{name}/images/{name}.png")
        write_mask(tmp_path / f"{name}/masks/{name}.png")
    (tmp_path / "birds/classes.txt").write_text("sky\nbird\n")
    with pytest.raises(RetinueError, match="birds/classes.txt: it names the classes of 1 masks, and 1 are elsewhere"):
        read(tmp_path)
    assert read(tmp_path / "birds").classes == ("sky", "bird")


def test_colors_of_16_bits_are_no_masks(tmp_path):
    """Pillow gives them as 8 bits, of which dark ones have few values."""
    for number in range(3):
        write_image(tmp_path / f"a/{number}.png", seed=number)
        path = tmp_path / f"b/{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 700, (*SIZE, 3), np.uint16)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    with pytest.raises(UsageError, match="can't be read for segmentation"):
        read(tmp_path, "segmentation")

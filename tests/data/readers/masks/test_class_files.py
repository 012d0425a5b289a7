"""Files of class names for masks: what their ids mean in the masks, and which names are no classes."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.masks.class_files import read_class_file
from retinue.data.readers.read import read
from retinue.tests.helpers.mask_images import make_image, make_mask


def make_pair(folder, ids, image="images/a.png", mask="masks/a.png"):
    make_image(folder / image, (1, len(ids)))
    make_mask(folder / mask, [ids], palette=False)


def classes_and_values(dataset):
    """Return the value of each class, and those that mean void."""
    values = dataset.columns["values"][0].tolist()
    count = len(dataset.classes)
    return dict(zip(dataset.classes, values[:count], strict=True)), values[count:]


@pytest.mark.parametrize(
    "text",
    [
        "Idx\tRatio\tTrain\tVal\tName\n1 \t0.1 \t11 \t1 \twall \n2\t0.1\t9\t1\tbuilding, edifice\n",
        "Idx,Ratio,Train,Val,Stuff,Name\n1,0.1,11,1,1,wall\n2,0.1,9,1,1,building\n",
    ],
)
def test_a_table_with_more_columns_is_read_by_its_header(tmp_path, text):
    path = tmp_path / "objectInfo150.txt"
    path.write_text(text)
    found = read_class_file(str(path))
    assert [name[:8] for name in found.names] == ["wall", "building"] and found.values == [1, 2]
    path.write_text(text + "three\n")
    with pytest.raises(RetinueError, match="line 4: 'three' has no id"):
        read_class_file(str(path))


def test_0_has_no_label_in_ade20k(tmp_path):
    pair = "images/training/ADE_train_00000001.jpg", "annotations/training/ADE_train_00000001.png"
    make_pair(tmp_path, [0, 1, 2, 2], *pair)
    assert classes_and_values(read(tmp_path))[1] == [0] and read(tmp_path).classes[:2] == ("class 1", "class 2")
    (tmp_path / "objectInfo150.txt").write_text("Idx\tRatio\tName\n1\t0.1\twall\n2\t0.1\tsky\n3\t0.1\tbed\n")
    dataset = read(tmp_path)
    assert classes_and_values(dataset) == ({"wall": 1, "sky": 2, "bed": 3}, [0])
    assert ["0 means no label" in finding.reason for finding in dataset.findings] == [True]


def test_loveda_and_the_trimaps_of_pets_have_their_own_classes(tmp_path):
    for part in ("Rural", "Urban"):
        name = f"{part}.png"
        make_pair(tmp_path / "loveda", [0, 1, 7], f"Train/{part}/images_png/{name}", f"Train/{part}/masks_png/{name}")
    classes, void = classes_and_values(read(tmp_path / "loveda"))
    assert (classes["background"], classes["agriculture"], len(classes), void) == (1, 7, 7, [0])
    make_pair(tmp_path / "pets", [1, 2, 3], "images/a.jpg", "annotations/trimaps/a.png")
    assert classes_and_values(read(tmp_path / "pets")) == ({"pet": 1, "background": 2, "border": 3}, [])
    make_pair(tmp_path / "matting", [0, 128, 255], "images/a.jpg", "annotations/trimaps/a.png")
    assert classes_and_values(read(tmp_path / "matting"))[0]["class 128"] == 128


def test_the_ids_of_coco_stuff_are_those_of_its_list_minus_1(tmp_path):
    lines = ["0: unlabeled", "1: person", *(f"{number}: thing {number}" for number in range(2, 183))]
    (tmp_path / "labels.txt").write_text("\n".join(lines))
    make_pair(tmp_path, [0, 181, 255])
    classes, void = classes_and_values(read(tmp_path))
    assert (classes["person"], classes["thing 182"], void) == (0, 181, [])
    make_pair(tmp_path, [0, 1, 182])  # not the PNG files of COCO-Stuff: the ids of the list
    classes, void = classes_and_values(read(tmp_path))
    assert (classes["person"], classes["thing 182"], void) == (1, 182, [0])


@pytest.mark.parametrize("name", ["Void", "no-data", "unlabelled", "Unknown", "don't care".replace("'", "")])
def test_names_of_nothing_are_void_at_any_place(tmp_path, name):
    (tmp_path / "classes.txt").write_text(f"{name}\nroad\ncar\n")
    make_pair(tmp_path, [0, 1, 2])
    assert classes_and_values(read(tmp_path)) == ({"road": 1, "car": 2}, [0])
    make_pair(tmp_path, [0, 1, 255])
    with pytest.raises(RetinueError, match=f"{name} is its first name, so it is 0, but the masks also hold 255"):
        read(tmp_path)


def test_255_is_the_second_of_two_classes_where_masks_hold_nothing_else(tmp_path):
    (tmp_path / "classes.txt").write_text("background\npolyp\n")
    make_pair(tmp_path, [0, 0, 255])
    dataset = read(tmp_path)
    assert classes_and_values(dataset) == ({"background": 0, "polyp": 255}, [])
    assert "255 is taken as polyp" in dataset.findings[-1].reason
    (tmp_path / "classes.txt").write_text("background\npolyp\ntool\n")
    with pytest.raises(RetinueError, match=r"only hold 0 and 255, and it names 3 classes.*'255 name'"):
        read(tmp_path)


def test_colors_of_classes_do_not_name_ids(tmp_path):
    make_pair(tmp_path, [0, 1, 2])
    (tmp_path / "dict_seg.csv").write_text("name, r, g, b\nunlabeled, 0, 0, 0\nroad, 128, 64, 128\nmud, 9, 9, 9\n")
    with pytest.raises(RetinueError, match="it gives the colors of classes, but the masks hold ids such as 0, 1, 2"):
        read(tmp_path)
    (tmp_path / "classes.txt").write_text("0 unlabeled\n1 road\n2 mud\n")
    assert classes_and_values(read(tmp_path)) == ({"road": 1, "mud": 2}, [0])


def test_a_file_that_only_names_void_is_refused(tmp_path):
    make_pair(tmp_path, [0, 1])
    (tmp_path / "classes.txt").write_text("0 void\n")
    with pytest.raises(RetinueError, match="it names no class, but only void; add"):
        read(tmp_path)


def test_a_list_of_class_folders_does_not_name_values(tmp_path):
    for number, breed in enumerate(("001.Albatross", "002.Gull")):  # as in CUB-200-2011
        make_pair(tmp_path, [0, 255], f"images/{breed}/{number}.jpg", f"segmentations/{breed}/{number}.png")
    (tmp_path / "classes.txt").write_text("1 001.Albatross\n2 002.Gull\n")
    dataset = read(tmp_path, "segmentation")
    assert classes_and_values(dataset) == ({"background": 0, "foreground": 255}, [])
    assert dataset.findings[0].kind == "classes of images"


def test_a_list_of_images_with_numbers_is_no_list_of_colors(tmp_path):
    make_pair(tmp_path, [0, 1])
    (tmp_path / "list.txt").write_text("a_1 1 1 1\na_2 1 1 1\nb_1 2 1 1\n")
    assert read(tmp_path).classes == ("background", "foreground")

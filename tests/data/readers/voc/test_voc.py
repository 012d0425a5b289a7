"""Pascal VOC, in VOCdevkit's folders and as LabelImg writes it."""

from pathlib import Path

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read, understand
from retinue.data.readers.voc.voc import read_voc
from retinue.tests.helpers.box_files import save_image

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    "</bndbox></part></object>"
)


def xml(path, *objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    size = "<size><width>100</width><height>80</height></size>"
    path.write_text(f"<annotation>{size}{''.join(OBJECT.format(*entry) for entry in objects)}</annotation>")


@pytest.fixture
def devkit(tmp_path):
    year = tmp_path / "VOCdevkit/VOC2007"
    for stem in ("000001", "000002", "000003", "000004"):
        save_image(year / f"JPEGImages/{stem}.jpg")
    xml(year / "Annotations/000001.xml", ("dog", 1, 1, 1, 100, 80), ("cat", 0, 11, 21, 30.5, 40))
    xml(year / "Annotations/000002.xml")
    xml(year / "Annotations/000004.xml", ("cat", 0, 1, 1, 2, 2))
    lists = year / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000002\n")
    (lists / "val.txt").write_text("000001\n000003\n")
    (lists / "trainval.txt").write_text("000001\n000002\n000003\n")
    (lists / "cat_train.txt").write_text("000001  1\n")
    return tmp_path


def test_lists_and_flags_are_read_and_pixels_count_from_one(devkit):
    for folder in (devkit, devkit / "VOCdevkit", devkit / "VOCdevkit/VOC2007"):
        data = read(folder)
        assert (data.format, data.task, data.classes) == ("voc", "detection", ("cat", "dog"))
        assert data.columns["image_id"].tolist() == ["000002", "000001"]
        assert data.splits.tolist() == ["train", "val"]
    record = list(data)[1]
    assert record["file"] == f"{devkit}/VOCdevkit/VOC2007/JPEGImages/000001.jpg"
    assert record["boxes"].tolist() == [[0, 0, 100, 80], [10, 20, 30.5, 40]]
    assert record["labels"].tolist() == [1, 0] and record["difficult"].tolist() == [True, False]
    assert record["size"].tolist() == [80, 100] and not record["crowd"].any()
    reasons = {finding.kind: finding.reason for finding in data.findings}
    assert reasons["no annotation"] == "1 listed images have no XML file, the first is 000003"
    assert reasons["not listed"] == "1 annotations are in no list of ImageSets/Main"


def test_xml_files_may_be_beside_the_images(tmp_path):
    save_image(tmp_path / "b.png")
    save_image(tmp_path / "a.jpg")
    xml(tmp_path / "a.xml", ("nut", 0, 1, 2, 3, 4))
    data = read(tmp_path)
    assert list(data.files) == [f"{tmp_path}/a.jpg"] and data.splits.tolist() == [""]
    assert data.columns["boxes"].values.tolist() == [[0, 1, 3, 4]]


def test_broken_files_and_objects_are_findings(tmp_path):
    for stem in "abc":
        save_image(tmp_path / f"JPEGImages/{stem}.jpg")
    xml(tmp_path / "Annotations/a.xml", ("cat", 0, "one", 1, 2, 2), ("", 0, 1, 1, 2, 2), ("cat", 0, 1, 1, 2, 2))
    (tmp_path / "Annotations/b.xml").write_text("<annotation>")
    xml(tmp_path / "Annotations/c.xml")
    data = read(tmp_path)
    assert [Path(file).name for file in data.files] == ["a.jpg", "c.jpg"]
    assert [finding.reason for finding in data.findings[:2]] == [
        "object 1 of Annotations/a.xml: its bndbox lacks a number",
        "object 2 of Annotations/a.xml: it has no name",
    ]
    assert data.findings[2].kind == "broken annotation" and "b.xml can't be read" in data.findings[2].reason
    assert data.columns["object_id"].values.tolist() == [3]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RetinueError, match="there is no image with an annotation"):
        read_voc(tmp_path / "empty")


def make(folder, images, annotations, *stems, name="cat"):
    """Save images and XML files of the same stems; the folders are relative to `folder`."""
    for stem in stems:
        save_image(folder / images / f"{stem}.jpg")
        xml(folder / annotations / f"{stem}.xml", (name, 0, 1, 1, 20, 20))


def files_of(dataset, folder):
    return [file.removeprefix(f"{folder}/") for file in dataset.files]


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("images", "annotations"),  # Kaggle's
        ("Images", "Annotations"),
        ("JPEGImages", "ANNOTATIONS"),
        ("VOC/pics", "VOC/xml"),
        ("", "labels"),
        ("a/b", "a/b"),
    ],
)
def test_folders_have_any_names(tmp_path, images, annotations):
    make(tmp_path, images, annotations, "1", "2")
    dataset = read(tmp_path)
    assert (dataset.format, dataset.splits.tolist()) == ("voc", ["", ""])
    assert files_of(dataset, tmp_path) == [str(Path(images) / f"{stem}.jpg") for stem in "12"]
    explanation = understand(str(tmp_path))
    assert len(explanation.images) == 2 and explanation.labels == str(Path(annotations) / "*.xml")
    assert read(explanation.source).files.tolist() == dataset.files.tolist()


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("{}", "{}"),  # Roboflow's
        ("{}/JPEGImages", "{}/Annotations"),
        ("images/{}", "annotations/{}"),
        ("images/{}", "annotations"),
    ],
)
def test_folders_of_splits_give_the_splits(tmp_path, images, annotations):
    for number, split in enumerate(("train", "valid", "test")):
        make(tmp_path, images.format(split), annotations.format(split), f"{number}")
    dataset = read(tmp_path)
    assert dict(zip(files_of(dataset, tmp_path), dataset.splits, strict=True)) == {
        f"{images.format('train')}/0.jpg": "train",
        f"{images.format('valid')}/1.jpg": "val",
        f"{images.format('test')}/2.jpg": "test",
    }
    assert dataset.findings == ()


def test_equal_names_in_several_splits_stay_apart(tmp_path):
    make(tmp_path, "images/train", "annotations/train", "1", "2", name="cat")
    make(tmp_path, "images/val", "annotations/val", "1", name="dog")
    xml(tmp_path / "annotations/val/2.xml", ("dog", 0, 1, 1, 2, 2))  # without an image of its own
    dataset = read(tmp_path)
    assert sorted(zip(files_of(dataset, tmp_path), dataset.splits, strict=True)) == [
        ("images/train/1.jpg", "train"),
        ("images/train/2.jpg", "train"),
        ("images/val/1.jpg", "val"),
        ("images/val/2.jpg", "val"),  # which the check reports as missing
    ]


def test_several_years_are_read_together(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        make(tmp_path, f"{year}/JPEGImages", f"{year}/Annotations", f"{year}_1", f"{year}_2")
        lists = tmp_path / year / "ImageSets/Main"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text(f"{year}_1\n")
        (lists / "val.txt").write_text(f"{year}_2\n")
    dataset = read(tmp_path)
    assert dataset.splits.tolist() == ["train", "val"] * 2 and len(set(dataset.files)) == 4


def test_lists_may_have_names_with_blanks_and_lie_beside_the_folders(tmp_path):
    make(tmp_path, "JPEGImages", "Annotations", "my cat", "cat 1", "dog")
    (tmp_path / "train.txt").write_text("JPEGImages/dog.jpg Annotations/dog.xml\ncat 1\n")
    (tmp_path / "val.txt").write_text("my cat\n")
    dataset = read(tmp_path)
    assert list(zip(dataset.columns["image_id"], dataset.splits, strict=True)) == [
        ("dog", "train"),
        ("cat 1", "train"),
        ("my cat", "val"),
    ]


def test_lists_of_other_data_are_passed_over(tmp_path):
    make(tmp_path, "JPEGImages", "Annotations", "1", "2")
    (tmp_path / "train.txt").write_text("1\n7\n8\n")
    assert read(tmp_path).splits.tolist() == ["", ""]


def test_the_file_name_in_the_annotation_counts_where_no_image_has_its_name(tmp_path):
    for number in (1, 2):
        save_image(tmp_path / f"images/IMG {number}.png")
        xml(tmp_path / f"xml/label_{number}.xml", ("cat", 0, 1, 1, 2, 2))
        path = tmp_path / f"xml/label_{number}.xml"
        path.write_text(path.read_text().replace("<size>", f"<filename>IMG {number}.png</filename><size>"))
    dataset = read(tmp_path)
    assert files_of(dataset, tmp_path) == ["images/IMG 1.png", "images/IMG 2.png"]
    assert len(understand(str(tmp_path)).images) == 2


def test_a_suffix_of_the_image_may_stay_in_the_name_of_the_annotation(tmp_path):
    save_image(tmp_path / "1.png")
    xml(tmp_path / "1.png.xml", ("cat", 0, 1, 1, 2, 2))
    assert files_of(read(tmp_path), tmp_path) == ["1.png"]


def test_images_without_an_annotation_and_other_xml_are_noted(tmp_path):
    make(tmp_path, "images", "images", "1", "2")
    save_image(tmp_path / "images/3.jpg")
    (tmp_path / "images/config.xml").write_text("<View/>")
    findings = {finding.kind: finding for finding in read(tmp_path).findings}
    assert findings["image without XML"].reason == "1 images have no XML file, the first is 3.jpg"
    assert "its outermost element is View" in findings["other XML"].reason and len(findings) == 2


def test_a_folder_of_annotations_finds_the_images_beside_it(tmp_path):
    make(tmp_path, "JPEGImages", "Annotations", "1")
    dataset = read(tmp_path / "Annotations")
    assert files_of(dataset, tmp_path) == ["JPEGImages/1.jpg"] and dataset.columns["location"].tolist() == ["1.xml"]


def test_annotations_without_images_name_the_first(tmp_path):
    xml(tmp_path / "data/1.xml", ("cat", 0, 1, 1, 2, 2))
    with pytest.raises(RetinueError, match="none of their images is there, the first is 1; put the images beside"):
        read(tmp_path / "data")


def test_masks_and_drawings_of_the_images_are_not_the_images(tmp_path):
    make(tmp_path, "Frames", "Annotations", "1", "2")
    for folder in ("SegmentationClass", "AnnotationsVisualization"):
        save_image(tmp_path / folder / "1.png")
    dataset = read(tmp_path)
    assert files_of(dataset, tmp_path) == ["Frames/1.jpg", "Frames/2.jpg"]
    assert [finding.kind for finding in dataset.findings] == ["folder of drawings"] * 2


def test_xml_of_cvat_is_not_claimed(tmp_path):
    save_image(tmp_path / "1.jpg")
    (tmp_path / "annotations.xml").write_text("<annotations><image name='1.jpg'/></annotations>")
    with pytest.raises(RetinueError, match="there is no image with an annotation"):
        read_voc(tmp_path)


ROTATED = "<annotation><object><name>ship</name><robndbox><cx>9</cx></robndbox></object></annotation>"
POLYGON = "<annotation><object><name>car</name><polygon><pt><x>9</x></pt></polygon></object></annotation>"


def test_rotated_boxes_beside_boxes_are_no_second_copy_of_the_images(tmp_path):
    for stem in "ab":
        save_image(tmp_path / f"JPEGImages/{stem}.jpg")
        xml(tmp_path / f"Annotations/Horizontal/{stem}.xml", ("ship", 0, 1, 1, 20, 30))
        path = tmp_path / f"Annotations/Oriented/{stem}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(ROTATED)
    data = read(tmp_path)
    assert len(data) == 2 and data.labels_in == "Annotations/Horizontal/*.xml"
    (finding,) = data.findings
    assert finding.reason == "the objects of its 2 XML files have a robndbox, but no bndbox"


@pytest.mark.parametrize(
    ("text", "message"), [(ROTATED, "have rotated boxes"), (POLYGON, "have polygons of the old LabelMe")]
)
def test_other_shapes_than_boxes_are_refused(tmp_path, text, message):
    for folder in ("a", "b"):  # which could be classes
        save_image(tmp_path / f"Images/{folder}/1{folder}.jpg")
        (tmp_path / f"Annotations/{folder}").mkdir(parents=True)
        (tmp_path / f"Annotations/{folder}/1{folder}.xml").write_text(text)
    for source in (read, read_voc):
        with pytest.raises(RetinueError, match=f"{message} .*; convert them to COCO"):
            source(tmp_path)


def test_a_file_name_of_another_image_is_named(tmp_path):
    for stem, other in (("a", "b"), ("b", "gone")):
        save_image(tmp_path / f"{stem}.jpg")
        text = f"<annotation><filename>{other}.jpg</filename>{OBJECT.format('cat', 0, 1, 1, 9, 9)}</annotation>"
        (tmp_path / f"{stem}.xml").write_text(text)
    data = read(tmp_path)
    assert [Path(file).name for file in data.files] == ["a.jpg", "b.jpg"]
    (finding,) = data.findings
    assert finding.reason == "1 XML files name another image in <filename>, the first is a.xml with b.jpg"

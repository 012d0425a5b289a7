"""Tables of boxes."""

import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def table(tmp_path):
    for name in "abc":
        save_image(tmp_path / f"{name}.jpg")

    def write(text):
        path = tmp_path / "boxes.csv"
        path.write_text(text)
        return path

    return write


def test_images_with_and_without_objects_are_read(table, tmp_path):
    path = table(
        "file,x1,y1,x2,y2,label,split,note\nb.jpg,1,2,3.5,4,dog,train,x\na.jpg,,,,,,val,\nb.jpg,5,6,7,8,cat,train,\n"
        "c.jpg,0,0,1,1,cat,,\n"
    )
    assert understand(str(path)).format == "boxes csv"
    data = read(path)
    assert data.task == "detection" and data.classes == ("cat", "dog") and data.class_ids == ()
    assert list(data.files) == [f"{tmp_path}/{name}.jpg" for name in "bac"]
    assert data.splits.tolist() == ["train", "val", ""] and data.groups is None
    assert data.columns["boxes"][0].tolist() == [[1, 2, 3.5, 4], [5, 6, 7, 8]]
    assert data.columns["labels"][0].tolist() == [1, 0] and data.columns["object_id"][0].tolist() == [2, 4]
    assert len(data.columns["boxes"][1]) == 0
    assert [finding.reason for finding in data.findings] == ["the column note is not used"]


def test_groups_are_read(table):
    data = read(table("file,label,x1,y1,x2,y2,group\na.jpg,cat,1,2,3,4,farm\nb.jpg,cat,1,2,3,4,\n"))
    assert data.groups.tolist() == ["farm", ""]


def test_a_line_that_is_not_a_box_is_a_finding(table):
    data = read(table("file,x1,y1,x2,y2,label\na.jpg,1,2,3,x,cat\na.jpg,1,2,3,4,\na.jpg,1,2,3,4,cat\n"))
    assert [finding.reason for finding in data.findings] == [
        "line 2: its corners are not four numbers",
        "line 3: it has no label",
    ]
    assert data.columns["object_id"].values.tolist() == [4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,x1,y1,x2,y2,mood\na.jpg,1,2,3,4,cat",
            "line 1: the column label is missing .*: retinue check .*boxes.csv --columns label=mood",
        ),
        (
            "pic,x1,ymn,x2,y2,mood\na,1,2,3,4,cat",
            "line 1: the columns file, y1 and label are missing .* --columns file=pic,y1=ymn,label=mood",
        ),
        (
            "file,width,height,class,xmin,ymin,xmx,ymax\na.jpg,8,8,cat,1,2,3,4",
            "line 1: the column x2 is missing .* --columns x2=xmx",
        ),
        (
            "file,x1,y1,x2,y2,label\na.jpg,1,2,3,cat\nb.jpg,1",
            "line 2: it has 5 values, .* .and 1 more line like",
        ),
        ("file,x1,y1,x2,y2,label,split\na.jpg,1,2,3,4,cat,tarin", "line 2: 'tarin' is not a split; did you mean train"),
        ("file,x1,y1,x2,y2,label,split\na.jpg,1,2,3,4,cat,train\na.jpg,,,,,,val", "line 3: .*has the split val here"),
        ("file,x1,y1,x2,y2,label\nz.jpg,1,2,3,4,cat", "none of its 1 files exists"),
    ],
)
def test_a_broken_table_is_refused_with_the_line(table, text, message):
    with pytest.raises(RetinueError, match=message):
        read(table(text + "\n"))


def test_a_table_of_boxes_is_not_read_for_classification(table):
    with pytest.raises(UsageError, match="boxes csv can't be read for classification; it is data for detection"):
        read(table("file,x1,y1,x2,y2,label\na.jpg,1,2,3,4,cat\n"), task="classification")


def test_a_folder_that_was_moved_keeps_its_fingerprint(table, tmp_path):
    path = table("file,x1,y1,x2,y2,label\na.jpg,1,2,3,4,cat\nb.jpg,,,,,\n")
    before = read(path).fingerprint
    moved = tmp_path.with_name(f"{tmp_path.name} moved")
    tmp_path.rename(moved)
    assert read(moved / "boxes.csv").fingerprint == before
    (moved / "boxes.csv").write_text("file,x1,y1,x2,y2,label\na.jpg,1,2,3,5,cat\nb.jpg,,,,,\n")
    assert read(moved / "boxes.csv").fingerprint != before

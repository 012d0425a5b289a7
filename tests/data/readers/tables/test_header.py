"""The dialects of tables that tools and people write: which columns mean what, and what is refused."""

import json

import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.readers.read import read, understand
from retinue.data.readers.tables.layout import parse_columns
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table beside a.jpg and b.jpg, of 100 x 80 pixels, and returns its path."""
    for name in "ab":
        save_image(tmp_path / f"{name}.jpg")

    def write(text, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def objects(dataset):
    """Return for each image its name, and the corners and the class of each object."""
    return {
        str(file).rpartition("/")[2]: [
            (*box, dataset.classes[label]) for box, label in zip(boxes.tolist(), labels.tolist(), strict=True)
        ]
        for file, boxes, labels in zip(dataset.files, dataset.columns["boxes"], dataset.columns["labels"], strict=True)
    }


def labels(dataset):
    """Return for each file its label, or its labels."""
    values = dataset.columns["labels"] if dataset.multi_label else dataset.columns["label"][:, None]
    return {
        str(file).rpartition("/")[2]: [dataset.classes[label] for label in row]
        for file, row in zip(dataset.files, values, strict=True)
    }


@pytest.mark.parametrize(
    "lines",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,80,cat,10,20,30,60\nb.jpg,100,80,dog,5,6,7,8",
        "filename,cell_type,xmin,xmax,ymin,ymax\na.jpg,cat,10,30,20,60\nb.jpg,dog,5,7,6,8",
        "image_path,xmin,ymin,xmax,ymax,label\na.jpg,10,20,30,60,cat\nb.jpg,5,6,7,8,dog",
        "image,left,top,right,bottom,category_name\na.jpg,10,20,30,60,cat\nb.jpg,5,6,7,8,dog",
        "img,x0,y0,x1,y1,class_name\na.jpg,10,20,30,60,cat\nb.jpg,5,6,7,8,dog",
        "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y\n"
        "a.jpg;cat;10;20;30;60\nb.jpg;dog;5;6;7;8",
        "file,x,y,w,h,label\na.jpg,10,20,20,40,cat\nb.jpg,5,6,2,2,dog",
        "file,x,y,width,height,label\na.jpg,10,20,20,40,cat\nb.jpg,5,6,2,2,dog",
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\n"
        "cat,10,20,20,40,a.jpg,100,80\ndog,5,6,2,2,b.jpg,100,80",
        "file,x_center,y_center,width,height,label\na.jpg,20,40,20,40,cat\nb.jpg,6,7,2,2,dog",
        'image_id,width,height,bbox,class\na,100,80,"[10, 20, 20, 40]",cat\nb,100,80,"[5, 6, 2, 2]",dog',
        "file,xmin,ymin,xmax,ymax,label\na.jpg,0.1,0.25,0.3,0.75,cat\nb.jpg,0.05,0.075,0.07,0.1,dog",
        "file,xc,yc,w,h,label\na.jpg,0.2,0.5,0.2,0.5,cat\nb.jpg,0.06,0.0875,0.02,0.025,dog",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,cat,1,0.1,0.3,0.25,0.75\n"
        "b,x,dog,1,0.05,0.07,0.075,0.1",
        "a.jpg,10,20,30,60,cat\nb.jpg,5,6,7,8,dog",
        "cat,10,20,20,40,a.jpg,100,80\ndog,5,6,2,2,b.jpg,100,80",
        "TRAIN,gs://bucket/a.jpg,cat,0.1,0.25,,,0.3,0.75,,\nTRAIN,gs://bucket/b.jpg,dog,0.05,0.075,,,0.07,0.1,,",
        "file;x1;y1;x2;y2;label\na.jpg;10,0;20,0;30,0;60,0;cat\nb.jpg;5,0;6,0;7,0;8,0;dog",
    ],
)
def test_boxes_in_every_dialect_are_the_same(table, lines):
    found = objects(read(table(lines + "\n")))
    assert {name: [box[-1] for box in boxes] for name, boxes in found.items()} == {"a.jpg": ["cat"], "b.jpg": ["dog"]}
    assert found["a.jpg"][0][:4] == pytest.approx((10, 20, 30, 60), abs=1e-4)
    assert found["b.jpg"][0][:4] == pytest.approx((5, 6, 7, 8), abs=1e-4)


def test_open_images_has_groups_and_names_beside_it(table, tmp_path):
    (tmp_path / "class-descriptions.csv").write_text("/m/01,Tortoise\n/m/02,Magpie\n/m/03,Bee\n")
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
    data = read(table(header + "a,x,/m/02,1,0.1,0.3,0.25,0.75,0,0,1\nb,x,/m/01,1,0.1,0.3,0.25,0.75,0,0,0\n"))
    assert data.classes == ("Magpie", "Tortoise") and data.class_ids == ("/m/02", "/m/01")
    assert data.columns["crowd"].values.tolist() == [True, False]
    assert data.columns["image_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "empty"),
    [
        ("a.jpg,1,2,3,4,Mass\nb.jpg,,,,,No finding\n", ["b.jpg"]),
        ("a.jpg,1,2,3,4,Mass\nb.jpg,nan,nan,nan,nan,NaN\n", ["b.jpg"]),
        ("a.jpg,1,2,3,4,Mass\nb.jpg,,,,,\n", ["b.jpg"]),
    ],
)
def test_lines_without_a_box_are_images_without_objects(table, rows, empty):
    data = read(table("file,x1,y1,x2,y2,label\n" + rows))
    assert data.classes == ("Mass",)
    assert [name for name, boxes in objects(data).items() if not boxes] == empty
    assert not [finding for finding in data.findings if finding.severity == "invalid"]


def test_a_label_that_has_boxes_elsewhere_lacks_one(table):
    data = read(table("file,x1,y1,x2,y2,label\na.jpg,1,2,3,4,cat\nb.jpg,,,,,cat\n"))
    assert [finding.item for finding in data.findings if finding.severity == "invalid"] == ["line 3"]


def test_a_table_of_boxes_without_labels_has_one_class(table):
    data = read(table("image_id,width,height,x1,y1,x2,y2,source\na,100,80,1,2,3,4,x\n"))
    assert data.classes == ("object",) and "one class" in {finding.kind for finding in data.findings}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('file,bbox,label\na.jpg,"[1, 2, 30, 40]",cat\n', "could be x1, y1, x2, y2 or x, y, width, height; decide: .*"),
        ("file,x,y,w,h,label\na.jpg,95,75,10,10,cat\n", "unless x, y is their center; .* --columns xc=x,yc=y,w=w,h=h"),
        ("file,x,y,width,height,label\na.jpg,9,7,100,80,cat\nb.jpg,9,7,100,80,cat\n", "are the sizes of the images"),
        ("file,x1,y1,x2,y2,label\na.jpg,0.5,0.5,1.4,1.2,cat\n", "reach up to 1.4, so they seem to be neither pixels"),
        (
            "file,x1,y1,x2,y2,mood\na.jpg,1,2,3,4,cat\n",
            "label is missing .* --columns label=mood .label= if all",
        ),
        ("file,x1,y1,x2,y2,x3,y3,x4,y4,label\na.jpg,1,1,9,1,9,9,1,9,cat\n", "x3 is a third corner; .* not read"),
        ("file,xc,yc,w,h,angle,label\na.jpg,5,5,4,4,30,cat\n", "angle turns the boxes; turned boxes are not read"),
        ("file,x,y,label\na.jpg,5,5,cat\n", "the columns w and h are missing"),
        ('file,label,polygon\na.jpg,cat,"[[1, 2], [3, 4]]"\n', "polygon seems to hold shapes, which are not read"),
        ("file,mask\na.jpg,1 2 30 4\n", "run lengths in a table are not read"),
    ],
)
def test_boxes_that_can_mean_two_things_are_refused(table, lines, message):
    with pytest.raises(RetinueError, match=message):
        read(table(lines))


def test_one_cell_may_hold_several_boxes(table):
    lines = "image_name,BoxesString,domain\na.jpg,60 50 70 60;1 2 3 4,x\nb.jpg,no_box,x\n"
    assert objects(read(table(lines))) == {"a.jpg": [(60, 50, 70, 60, "object"), (1, 2, 3, 4, "object")], "b.jpg": []}


def test_a_table_of_classes_gives_names_their_ids(table, tmp_path):
    (tmp_path / "classes.csv").write_text("dog,0\ncow,1\ncat,2\n")
    data = read(table("a.jpg,1,2,3,4,cat\nb.jpg,1,2,3,4,dog\n"))
    assert data.classes == ("dog", "cat") and data.class_ids == (0, 2)
    assert [row[0] for row in data.columns["labels"]] == [1, 0]
    (tmp_path / "classes.csv").write_text("id,name\n0,dog\n1,cow\n2,cat\n")
    data = read(table("file,label\na.jpg,2\nb.jpg,0\n"))
    assert data.classes == ("dog", "cat") and data.class_ids == (0, 2)
    (tmp_path / "classes.csv").write_text("0,dog\n1,cow\n")  # not all of them: something else
    assert read(table("file,label\na.jpg,2\nb.jpg,0\n")).classes == ("0", "2")


def test_the_option_decides_what_boxes_mean(table):
    path = table('file,bbox,mood\na.jpg,"[1, 2, 30, 40]",cat\n')
    assert objects(read(path, columns={"xyxy": "bbox", "label": "mood"})) == {"a.jpg": [(1, 2, 30, 40, "cat")]}
    assert objects(read(path, columns={"xywh": "bbox", "label": "mood"})) == {"a.jpg": [(1, 2, 31, 42, "cat")]}
    path = table("file,x,y,w,h,label\na.jpg,95,75,10,10,cat\n")
    named = parse_columns("xc=x,yc=y,w=w,h=h")
    assert objects(read(path, columns=named)) == {"a.jpg": [(90, 70, 100, 80, "cat")]}


@pytest.mark.parametrize(
    "lines",
    [
        "filename, cat, dog\na.jpg, 1, 0\nb.jpg, 0, 1\n",
        "id_code,diagnosis\na,cat\nb,dog\n",
        "Image Index,Finding Labels,Patient ID\na.jpg,cat,1\nb.jpg,dog,2\n",
        ",path,category\n0,a.jpg,cat\n1,b.jpg,dog\n",
        "image_id,cat,dog\na.jpg,1,-1\nb.jpg,-1,1\n",
        "image,tree species,source\na.jpg,cat,x\nb.jpg,dog,y\n",
        "TRAIN,gs://bucket/a.jpg,cat\nTRAIN,gs://bucket/b.jpg,dog\n",
        "cat,a.jpg\ndog,b.jpg\n",
        "C:\\data\\a.jpg,cat\nC:\\data\\b.jpg,dog\n",
        "frame_file,label\na.jpg,cat\nb.jpg,dog\n",
        "a,cat\nb,dog\n",
        "id,breed\na,cat\nb,dog\n",
    ],
)
def test_labels_in_every_dialect_are_the_same(table, lines):
    assert labels(read(table(lines))) == {"a.jpg": ["cat"], "b.jpg": ["dog"]}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "image_id,kind,kind_type,age\na,mel,histo,50\n",
            "label is missing .* --columns label=kind .others",
        ),
        ("id,masterCategory,subCategory\na,x,y\n", "masterCategory and subCategory could both be the labels"),
        ("ImageId,ClassId,EncodedPixels\na.jpg,1,5 6 7 8\n", "run lengths in a table are not read"),
        ("file,class,segmentation\na.jpg,1,5 6 17 8\n", "run lengths in a table are not read"),
        ("file,class,annotation\na.jpg,x,1 2 3 4 5 6\n", "annotation seems to hold shapes, which are not read"),
    ],
)
def test_labels_that_are_only_part_of_it_are_refused(table, lines, message):
    with pytest.raises(RetinueError, match=message):
        read(table(lines))


def test_columns_of_classes_may_be_set_together_or_not_at_all(table):
    data = read(table("filename,cat,dog,split\na.jpg,1,1,train\nb.jpg,0,0,val\n"))
    assert labels(data) == {"a.jpg": ["cat", "dog"], "b.jpg": []} and data.splits.tolist() == ["train", "val"]
    with pytest.raises(RetinueError, match="line 302: the column dog has '2', which is not 0 or 1"):
        read(table("filename,cat,dog\n" + "a.jpg,1,0\n" * 300 + "b.jpg,0,2\n"))


def test_numbers_as_text_stay_text(table, tmp_path):
    save_image(tmp_path / "007.jpg")
    data = read(table("id,label\n007,01\n"))
    assert labels(data) == {"007.jpg": ["01"]}
    data = read(table("image_id,xmin,ymin,xmax,ymax,label\n007,1,2,3,4,01\n"))
    assert data.columns["image_id"].tolist() == ["007"] and data.classes == ("01",)


def test_unknown_columns_are_named_by_the_option(table):
    path = table("shot_id,emotion,age\na,glad,5\nb,sad,6\n")
    assert "--columns file=shot_id,label=emotion (others that may be labels: age)" in understand(str(path)).problem
    data = read(path, columns=parse_columns("file=shot_id,label=emotion"))
    assert labels(data) == {"a.jpg": ["glad"], "b.jpg": ["sad"]}


def test_a_first_line_of_values_is_no_header(table, tmp_path):
    for number in (1, 2, 3):
        save_image(tmp_path / f"{number}.jpg")
    assert labels(read(table("1;cat\n2;dog\n3;cat\n"))) == {"1.jpg": ["cat"], "2.jpg": ["dog"], "3.jpg": ["cat"]}
    problem = understand(str(table("83010;Swiping Left\n83011;Stop Sign\n83012;Swiping Left\n"))).problem
    assert "it begins with 83010, Swiping Left: no header, and no file that exists" in problem


def test_only_columns_that_work_are_proposed(table):
    lines = "a.jpg,yes,x,0\nb.jpg,yes,y,1\n" * 2
    problem = understand(str(table("file,checked,mood,age\n" + lines))).problem
    assert "--columns label=mood (others that may be labels: age)" in problem
    problem = understand(str(table("label,youtube_id\nx,z1\ny,z2\n"))).problem
    assert "none of its columns names files that are there" in problem and "--columns" not in problem
    problem = understand(str(table("file,note\n" + "".join(f"{name}.jpg,note {name}\n" for name in "abcde")))).problem
    assert "none of its columns has labels that recur" in problem


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            ["train/0bb_red.png", "train/0bb_green.png"],
            "0bb is no file, but the beginning of 0bb_green.png, 0bb",
        ),
        (["train/0bb_000010_000020.jpg"], "the beginning of 0bb_000010_000020.jpg; write the whole names"),
    ],
)
@pytest.mark.parametrize("header", ["Id,Target", "label,youtube_id"])
@pytest.mark.parametrize("given", ["", "train.csv"])
def test_beginnings_of_names_are_no_names(tmp_path, images, message, header, given):
    for name in images:
        save_image(tmp_path / name)
    cells = "0bb,16 0" if header.startswith("Id") else "zumba,0bb"
    (tmp_path / "train.csv").write_text(f"{header}\n{cells}\n")
    with pytest.raises(RetinueError, match=message):
        read(tmp_path / given)


def test_beginnings_of_names_of_videos_do_not_hide_class_folders(tmp_path):
    for name in ("a/0bb_1.avi", "a/0bc_1.avi", "b/0bd_1.avi", "b/0be_1.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train.csv").write_text("label,youtube_id\na,0bb\na,0bc\nb,0bd\nb,0be\n")
    assert read(tmp_path).format == "clip folders"


def test_run_lengths_of_images_and_classes_are_named_as_such(tmp_path):
    save_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "train.csv").write_text("Image_Label,EncodedPixels\na.jpg_Fish,\na.jpg_Sugar,10 2 20 2\n")
    for task in ("auto", "segmentation"):
        with pytest.raises(RetinueError, match="run lengths in a table are not read; write each mask as a PNG file"):
            read(tmp_path, task)


def test_one_class_can_be_confirmed_by_the_option(table):
    data = read(table("file,x1,y1,x2,y2,mood\na.jpg,1,2,3,4,glad\n"), columns=parse_columns("label="))
    assert objects(data) == {"a.jpg": [(1, 2, 3, 4, "object")]}


def test_wrong_names_of_columns_are_refused(table):
    path = table("file,emotion\na.jpg,glad\n")
    with pytest.raises(RetinueError, match="line 1: --columns names emotoin as label, which is not there"):
        read(path, columns={"label": "emotoin"})
    with pytest.raises(UsageError, match="there is no column lable; did you mean label"):
        parse_columns("lable=emotion")
    with pytest.raises(UsageError, match="write it as COLUMN=NAME"):
        parse_columns("emotion")
    assert parse_columns("label=cat, dog,file=x") == {"label": "cat, dog", "file": "x"}


def test_a_column_of_splits_may_have_another_name(table):
    data = read(table("class id,filepaths,labels,data set\n0,a.jpg,cat,train\n1,b.jpg,dog,valid\n"))
    assert labels(data) == {"a.jpg": ["cat"], "b.jpg": ["dog"]} and data.splits.tolist() == ["train", "val"]


def test_a_set_that_is_no_split_is_not_used(table):
    data = read(table("file,label,set\na.jpg,cat,north\nb.jpg,dog,south\n"))
    assert set(data.splits) == {""} and [finding.item for finding in data.findings] == ["set"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_of_excel_are_read(table, encoding):
    data = read(table("file\tlabel\na.jpg\tFüchse\nb.jpg\tBär\n", encoding=encoding))
    assert data.classes == ("Bär", "Füchse")
    warned = [finding.reason for finding in data.findings if finding.kind == "encoding"]
    assert len(warned) == (encoding == "cp1252") and all("Windows-1252" in reason for reason in warned)


def test_json_lines_are_tables(table):
    lines = [{"file_name": "a.jpg", "label": ["cat", "dog"]}, {"label": ["cat"], "file_name": "b.jpg", "note": None}]
    data = read(table("\n".join(map(json.dumps, lines)), "metadata.jsonl"))
    assert labels(data) == {"a.jpg": ["cat", "dog"], "b.jpg": ["cat"]}
    with pytest.raises(RetinueError, match="x.jsonl line 2: it is not JSON"):
        read(table('{"file_name": "a.jpg"}\n{"file_name"\n', "x.jsonl"))


@pytest.mark.parametrize(
    "cell",
    [
        {"bbox": [[1, 2, 30, 40], [5, 5, 6, 7]], "categories": [0, 1]},
        [{"bbox": [1, 2, 30, 40], "category": "0"}, {"bbox": [5, 5, 6, 7], "category": "1"}],
    ],
)
def test_objects_of_image_folders_are_read(table, cell):
    lines = [{"file_name": "a.jpg", "objects": cell}, {"file_name": "b.jpg", "objects": {"bbox": [], "categories": []}}]
    data = read(table("\n".join(map(json.dumps, lines)), "metadata.jsonl"))
    assert objects(data) == {"a.jpg": [(1, 2, 31, 42, "0"), (5, 5, 11, 12, "1")], "b.jpg": []}


def test_objects_that_are_not_boxes_are_findings(table):
    lines = [{"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 3]], "categories": [0]}}]
    (finding,) = [one for one in read(table(json.dumps(lines[0]), "m.jsonl")).findings if one.severity == "invalid"]
    assert finding.reason == "line 1: its objects are not boxes with categories"


def test_a_table_of_another_tool_is_no_table_of_ours(table):
    path = table("filename,file_size,region_count,region_shape_attributes,region_attributes\na.jpg,1,0,{},{}\n")
    with pytest.raises(RetinueError, match="these are annotations of VIA"):
        read(path)

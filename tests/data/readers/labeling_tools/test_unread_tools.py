"""Tools whose files are recognized, but not read."""

import json
import re

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.json_files import json_kind
from retinue.data.readers.labeling_tools.text_formats import text_kind
from retinue.data.readers.labeling_tools.unread_tools import explain, explain_file
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_coco, save_image

POINTS = [[1, 2], [3, 4]]
CONTENTS = {
    "Supervisely": {"size": {"height": 8, "width": 9}, "objects": [{"classTitle": "cat", "geometryType": "rectangle"}]},
    "VoTT": {"asset": {"format": "jpg", "name": "a.jpg", "state": 2}, "regions": [{"tags": ["cat"]}]},
    "Labelbox": [{"data_row": {"id": "x", "external_id": "a.jpg"}, "projects": {}}],
    "V7 Darwin": {"version": "2.0", "schema_ref": "https://darwin-public.s3/darwin_json_2_0.schema.json", "item": {}},
    "Datumaro": {"dm_format_version": "1.0", "categories": {}, "items": []},
    "Scalabel or BDD100K": [{"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}],
    "SuperAnnotate": {"metadata": {"name": "a.jpg"}, "instances": [{"type": "bbox", "className": "cat"}]},
    "VoTT ": {"assets": {"0": {"asset": {}, "regions": [{"boundingBox": {}}]}}},
    "Datumaro ": {"info": {}, "categories": {"label": {}}, "items": [{"id": "1", "annotations": []}]},
    "FiftyOne": {"classes": ["a"], "labels": {"1": [{"label": "a", "bounding_box": [0, 0, 1, 1]}]}},
    "FiftyOne ": {"samples": [{"filepath": "a.jpg", "_media_type": "image"}]},
    "SageMaker Ground Truth": {"source-ref": "s3://b/a.jpg", "labels": {}},
    "CrowdHuman (odgt)": {"ID": "a", "gtboxes": []},
    "xView": {"type": "FeatureCollection", "features": [{"properties": {"bounds_imcoords": "1,2,3,4"}}]},
    "Mapillary's traffic signs": {"width": 9, "ispano": False, "objects": []},
    "Tsinghua-Tencent 100K": {"imgs": {"1": {"objects": [{"category": "p", "bbox": {"xmin": 1}}]}}},
    "DeepFashion2": {"source": "user", "item1": {"bounding_box": [1, 2, 3, 4]}},
    "TuSimple (lanes)": {"lanes": [[1]], "h_samples": [2], "raw_file": "1.jpg"},
    "Cityscapes": {"imgHeight": 8, "imgWidth": 9, "objects": [{"label": "car", "polygon": POINTS}]},
}


@pytest.mark.parametrize("tool", CONTENTS)
def test_they_are_named_with_the_way_out(tmp_path, tool):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTENTS[tool], indent=1))
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert explanation.problem == explain_file(str(path)).problem
    begin = f"these are annotations of {tool.strip()}, which are not read; export or convert them to COCO"
    assert begin in explanation.problem and "in a CSV with the columns file,label,x1,y1,x2,y2" in explanation.problem


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"images": [], "annotations": [{"id": 1, "image_id": 1, "bbox": [1, 2, 3, 4]}], "categories": []}, ""),
        ({"version": "5", "flags": {}, "shapes": [], "imagePath": "a.jpg", "imageData": "x" * 20000}, "labelme"),
        ({"imageData": "x" * 20000, "imagePath": "a.jpg", "shapes": []}, "labelme"),
        ({"a.jpg9": {"filename": "a.jpg", "size": 9, "regions": [], "file_attributes": {}}}, "via"),
        ([{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}], "createml"),
        ([{"id": 1, "annotations": [], "data": {"image": "a.jpg"}}], "label studio"),
        ([{"image": "a.jpg", "id": 1, "kind": "cat", "annotation_id": 3, "lead_time": 1.5}], "label studio"),
        (["a"], ""),
        ({}, ""),
    ],
)
def test_other_files_are_distinguished(tmp_path, content, kind):
    path = tmp_path / "a.json"
    for indent in (None, 2):
        path.write_text(json.dumps(content, indent=indent))
        assert json_kind(str(path)) == kind


TEXTS = {
    "KITTI": ("1.txt", "Car 0.00 0 -1.57 94.00 128.00 144.00 204.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"),
    "KITTI's tracking": ("0000.txt", "0 0 Car 0 0 -1.79 296.7 161.7 455.2 292.3 2.0 1.8 4.4 -4.5 1.8 13.4 -2.1\n"),
    "WIDER FACE": ("wider_face_train_bbx_gt.txt", "0--Parade/1.jpg\n1\n94 15 92 39 0 0 0 0 0 0 \n"),
    "FDDB": ("FDDB-fold-01-ellipseList.txt", "2002/07/19/big/img_1\n1\n67.36 44.51 -1.47 100.5 90.1  1\n"),
    "MOT": ("gt.txt", "1,-1,91,48,40,80,0.9\n"),
    "a tracking benchmark (a box of each frame)": ("groundtruth.txt", "1.0,2.0,3.0,4.0\n"),
    "NWPU VHR-10": ("001.txt", "(67,106),(108,159),2\n"),
    "ICDAR": ("gt_img_1.txt", "49,60,127,60,127,96,49,96,Genaxis Theatre\n"),
    "UCAS-AOD": ("P1.txt", "\t".join(["62.5"] * 13)),
    "Piotr's toolbox (bbGt)": ("1.txt", "% bbGt version=3\nBoat 66 57 77 66 0 0 0 0 0 0 0\n"),
    "BBox-Label-Tool or WiderPerson": ("1.txt", "1\n1 20 30 40 50\n"),
    "UA-DETRAC": ("MVI_1.xml", '<sequence name="MVI_1"></sequence>'),
    "HRSC2016": ("1.xml", "<HRSC_Image></HRSC_Image>"),
    "SVHN (digitStruct.mat)": ("digitStruct.mat", "x"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_formats_of_well_known_data_sets_are_named_and_never_class_folders(tmp_path, kind):
    name, text = TEXTS[kind]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / name).write_text(text)
    for folder in ("a", "b"):
        for number in range(3):
            save_image(tmp_path / f"{folder}/{folder}{number}.jpg")
    with pytest.raises(RetinueError, match=re.escape(f"these are annotations of {kind}, which are not read; ")):
        read(tmp_path)
    assert explain_file(str(tmp_path / "labels" / name)).format == kind


@pytest.mark.parametrize(
    "text",
    [
        "0 .5 .5 .1 .1\n",
        "a.jpg\nb.jpg\n",
        "2\n",
        "cat\n1\ndog\n",
        "1,2,3,4\n",
        "a.jpg 1 2 3 4 0\n",
        "Car of a red color, seen from the left\n",
        "",
    ],
)
def test_other_texts_are_of_no_known_data_set(tmp_path, text):
    (tmp_path / "1.txt").write_text(text)
    assert text_kind(str(tmp_path / "1.txt")) == "" and explain(FileTree(str(tmp_path))) == []


def test_detections_without_images_are_named(tmp_path):
    (tmp_path / "results.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9}]')
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert "a list of detections without their images; put the COCO file beside it" in explanation.problem


def test_readable_labels_win_over_files_that_are_not_read(tmp_path):
    save_image(tmp_path / "1.jpg")
    save_coco(tmp_path / "boxes.json", [(1, "1.jpg")], [(1, 1, 1, [0, 0, 9, 9])])
    (tmp_path / "items.json").write_text(json.dumps(CONTENTS["Datumaro"]))
    assert read(tmp_path).format == "coco"

"""Tools whose files are recognized, but not read."""

import json

import pytest

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.json_files import json_kind
from retinue.data.readers.labeling_tools.unread_tools import explain, explain_file

POINTS = [[1, 2], [3, 4]]
CONTENTS = {
    "Supervisely": {"size": {"height": 8, "width": 9}, "objects": [{"classTitle": "cat", "geometryType": "rectangle"}]},
    "VoTT": {"asset": {"format": "jpg", "name": "a.jpg", "state": 2}, "regions": [{"tags": ["cat"]}]},
    "Labelbox": [{"data_row": {"id": "x", "external_id": "a.jpg"}, "projects": {}}],
    "V7 Darwin": {"version": "2.0", "schema_ref": "https://darwin-public.s3/darwin_json_2_0.schema.json", "item": {}},
    "Datumaro": {"dm_format_version": "1.0", "categories": {}, "items": []},
    "Scalabel or BDD100K": [{"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}],
    "SuperAnnotate": {"metadata": {"name": "a.jpg"}, "instances": [{"type": "bbox", "className": "cat"}]},
    "Cityscapes": {"imgHeight": 8, "imgWidth": 9, "objects": [{"label": "car", "polygon": POINTS}]},
}


@pytest.mark.parametrize("tool", CONTENTS)
def test_they_are_named_with_the_way_out(tmp_path, tool):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTENTS[tool], indent=1))
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert explanation.problem == explain_file(str(path)).problem
    assert f"these are annotations of {tool}, which are not read; export or convert them to COCO" in explanation.problem


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

"""VIA's projects and exports, as JSON and CSV: shapes, the attribute that is the class, and what is there twice."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.labeling_tools.via import explain_file
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image

RECT = {"name": "rect", "x": 16, "y": 12, "width": 32, "height": 24}
CIRCLE = {"name": "circle", "cx": 50, "cy": 40, "r": 5}
ELLIPSE = {"name": "ellipse", "cx": 50, "cy": 40, "rx": 20, "ry": 10, "theta": np.pi / 2}
POLYGON = {"name": "polygon", "all_points_x": [10, 30, 30], "all_points_y": [20, 20, 50]}
POINT = {"name": "point", "cx": 3, "cy": 4}


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def entries_of(regions_of):
    """Return VIA's dict of images from the regions by the name of the image."""
    return {
        f"{name}99": {"filename": name, "size": 99, "regions": regions, "file_attributes": {}}
        for name, regions in regions_of.items()
    }


def save_via(path, regions_of):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries_of(regions_of)))
    for name in regions_of:
        save_image(path.parent / name)
    return path


def save_via_csv(path, regions_of):
    columns = ("#filename", "file_size", "file_attributes", "region_count", "region_id")
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*columns, "region_shape_attributes", "region_attributes"))
        for name, regions in regions_of.items():
            for number, entry in enumerate(regions or [{"shape_attributes": {}, "region_attributes": {}}]):
                cells = [json.dumps(entry[key]) for key in ("shape_attributes", "region_attributes")]
                writer.writerow([name, 99, "{}", len(regions), number, *cells])
    return path


def test_regions_become_boxes(tmp_path):
    regions = [
        region(RECT, kind="cat"),
        region(CIRCLE, kind="dog"),
        region(ELLIPSE, kind="dog"),
        region(POLYGON, kind="cat"),
        region(POLYGON | {"name": "polyline"}, kind="cat"),
        region(POINT, kind="cat"),
    ]
    save_via(tmp_path / "via_region_data.json", {"a.jpg": regions, "b.jpg": []})
    data = read(tmp_path)
    assert (data.format, data.classes) == ("via", ("cat", "dog"))
    boxes = [[16, 12, 48, 36], [45, 35, 55, 45], [40, 20, 60, 60], [10, 20, 30, 50], [10, 20, 30, 50]]
    assert np.allclose(list(data)[0]["boxes"], boxes, atol=1e-4)
    assert list(data)[0]["labels"].tolist() == [0, 1, 1, 0, 0]
    assert len(list(data)[1]["boxes"]) == 0 and data.columns["image_id"].tolist() == ["a.jpg", "b.jpg"]
    assert data.columns["location"][0] == "a.jpg in via_region_data.json"
    assert [finding.kind for finding in data.findings] == ["no size"]


def test_regions_of_version_1_are_a_dict_and_may_have_no_class(tmp_path):
    entries = {"a.jpg9": {"fileref": "", "filename": "a.jpg", "base64_img_data": "", "regions": {"0": region(POLYGON)}}}
    save_image(tmp_path / "a.jpg")
    (tmp_path / "via.json").write_text(json.dumps(entries))
    data = read(tmp_path)
    assert data.classes == ("object",) and data.columns["boxes"].values.tolist() == [[10, 20, 30, 50]]
    assert [finding.kind for finding in data.findings] == ["no class names"]


def test_a_project_and_its_exports_count_once(tmp_path):
    for split in ("train", "val"):
        regions_of = {"1.jpg": [region(RECT, kind="cat")], "2.jpg": [region(POLYGON, kind="dog")]}
        save_via(tmp_path / split / "via_region_data.json", regions_of)
        save_via_csv(tmp_path / split / "via_region_data.csv", regions_of)
        project = {"_via_settings": {}, "_via_img_metadata": entries_of(regions_of | {"1.jpg": []})}
        (tmp_path / split / "project.json").write_text(json.dumps(project))
    data = read(tmp_path)
    assert len(data) == 4 and data.splits.tolist() == ["train", "train", "val", "val"]
    assert data.columns["labels"].values.tolist() == [0, 1, 0, 1]
    assert [finding.kind for finding in data.findings] == ["annotated twice"] * 4
    assert "project.json" in data.findings[0].reason


def test_files_that_contradict_each_other_are_refused(tmp_path):
    save_via(tmp_path / "a.json", {"1.jpg": [region(RECT, kind="cat")]})
    save_via(tmp_path / "b.json", {"1.jpg": [region(RECT, kind="dog")]})
    with pytest.raises(RetinueError, match=r"b.json and .*a.json annotate .*1.jpg with different objects"):
        read(tmp_path)


def test_the_class_is_the_attribute_that_regions_have_or_the_one_with_a_usual_name(tmp_path):
    path = tmp_path / "via.json"
    save_via(path, {"a.jpg": [region(RECT, kind="cat", note=""), region(RECT, kind="dog", note="dark")]})
    data = read(path)
    assert data.classes == ("cat", "dog") and data.findings[0].reason == (
        "the attribute kind is taken as the class, not note"
    )
    save_via(path, {"a.jpg": [region(RECT, breed="cat", type="pet")]})
    assert read(path).classes == ("pet",)
    save_via(path, {"a.jpg": [region(RECT, breed="cat", color="red")]})
    assert "attributes breed, color, and nothing tells which of them is the class" in explain_file(str(path)).problem


def test_check_boxes_name_one_class(tmp_path):
    regions = [region(RECT, kind={"cat": True}), region(RECT, kind={"cat": True, "dog": True}), region(RECT, kind="")]
    save_via(tmp_path / "via.json", {"a.jpg": regions})
    data = read(tmp_path)
    assert data.classes == ("cat",) and len(data.columns["labels"].values) == 1
    assert [finding.item for finding in data.findings] == [f"region {number} of a.jpg in via.json" for number in (2, 3)]
    assert "several values, cat, dog" in data.findings[0].reason and "kind is empty" in data.findings[1].reason


def test_a_csv_is_read_like_a_json(tmp_path):
    save_image(tmp_path / "images/a.jpg")
    save_image(tmp_path / "images/b.jpg")
    path = save_via_csv(
        tmp_path / "via.csv", {"a.jpg": [region(RECT, kind="cat"), region(CIRCLE, kind="cat")], "b.jpg": []}
    )
    for source in (path, tmp_path):
        data = read(source)
        assert data.format == "via" and list(data.files) == [f"{tmp_path}/images/{name}.jpg" for name in "ab"]
        assert data.columns["boxes"].values.tolist() == [[16, 12, 48, 36], [45, 35, 55, 45]]


def test_outlines_are_drawn_as_masks_of_the_size_of_the_image(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    path = save_via(tmp_path / "data/via.json", {"a.jpg": [region(POLYGON, kind="cat"), region(RECT, kind="dog")]})
    data = read(path, task="segmentation")
    mask = np.asarray(Image.open(data.columns["mask"][0]))
    assert mask.shape == (80, 100) and (mask[12:36, 16:48] == 2).all() and mask[40, 28] == 1 and mask[60, 60] == 0


def test_what_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "via.json"
    save_via(path, {"a.jpg": [region(RECT | {"x": "left"}, kind="cat"), region(RECT, kind="cat")]})
    assert "region 1 of a.jpg" in read(path).findings[0].item
    path.write_text(path.read_text()[:-9])
    assert "via.json: this is not JSON" in explain_file(str(path)).problem
    path.write_text(json.dumps(entries_of({"first.jpg": [region(RECT, kind="cat")]})))
    assert "annotations of VIA, but its image is not there: first.jpg" in explain_file(str(path)).problem
    path.write_text('{"project": {"pid": "1", "loc_prefix": {}, "vid_list": []}, "metadata": {}}')
    assert "a project of VIA 3; export it there as COCO" in explain_file(str(path)).problem

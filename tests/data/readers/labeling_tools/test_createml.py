"""CreateML's files."""

import json

from retinue.data.readers.labeling_tools.createml import explain_file
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image


def annotation(label, x, y, width, height):
    return {"label": label, "coordinates": {"x": x, "y": y, "width": width, "height": height}}


def test_coordinates_are_the_center_and_the_size(tmp_path):
    for folder in ("train", "valid"):
        entries = [
            {"image": "a.jpg", "annotations": [annotation("dog", 30, 20, 20, 10), annotation("cat", 5, 5, 10, 10)]},
            {"image": "b.jpg", "annotations": []},
        ]
        for name in "ab":
            save_image(tmp_path / folder / f"{name}.jpg")
        (tmp_path / folder / "_annotations.createml.json").write_text(json.dumps(entries))
    data = read(tmp_path)
    assert (data.format, data.classes, data.splits.tolist()) == (
        "createml",
        ("cat", "dog"),
        ["train", "train", "val", "val"],
    )
    assert list(data)[0]["boxes"].tolist() == [[20, 15, 40, 25], [0, 0, 10, 10]]
    assert list(data)[0]["labels"].tolist() == [1, 0] and len(list(data)[1]["labels"]) == 0


def test_what_is_broken_is_named(tmp_path):
    path, wrong = tmp_path / "boxes.json", annotation("cat", 1, 2, 3, 4)
    del wrong["coordinates"]["height"]
    save_image(tmp_path / "a.jpg")
    path.write_text(json.dumps([{"image": "a.jpg", "annotations": [wrong, annotation("cat", 9, 9, 4, 4)]}]))
    data = read(path)
    assert data.findings[0].reason == "annotation 1 of a.jpg in boxes.json: it has no height"
    assert data.columns["boxes"].values.tolist() == [[7, 7, 11, 11]]
    path.write_text(json.dumps([{"image": "b.jpg", "annotations": [annotation("cat", 9, 9, 4, 4)]}]))
    assert "annotations of CreateML, but its image is not there: b.jpg" in explain_file(str(path)).problem

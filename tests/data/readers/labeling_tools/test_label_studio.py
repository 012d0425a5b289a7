"""Label Studio's JSON and JSON-MIN: shapes in percent, brush strokes, choices, and which annotation counts."""

import json

import numpy as np
import pytest
from PIL import Image

from retinue.data.readers.labeling_tools.label_studio import explain_file
from retinue.data.readers.labeling_tools.label_studio_regions import decode_runs
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image

SIZE = {"original_width": 100, "original_height": 80, "image_rotation": 0}
RECTANGLE = {"x": 20, "y": 25, "width": 30, "height": 50, "rotation": 0}


def result(kind, value, **fields):
    return {"type": kind, "value": value, "id": "r", "from_name": "label", "to_name": "image"} | SIZE | fields


def task(number, results, image="/data/upload/3/0a1b2c3d-{}.jpg", **fields):
    entry = {"id": 7, "was_cancelled": False, "result": results} | fields
    return {"id": number, "data": {"image": image.format(number)}, "annotations": [entry]}


def save_tasks(path, tasks, *images):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tasks))
    for name in images:
        save_image(path.parent / name)
    return path


def pack_bits(*fields):
    """Return fields, each a number and its bits, as uint8, the highest bit first."""
    bits = "".join(f"{number:0{count}b}" for number, count in fields)
    return [int(bits[start : start + 8].ljust(8, "0"), 2) for start in range(0, len(bits), 8)]


def test_percents_of_the_image_become_pixels(tmp_path):
    regions = [
        result("rectanglelabels", RECTANGLE | {"rectanglelabels": ["cat"]}),
        result("rectanglelabels", RECTANGLE | {"rotation": 90, "rectanglelabels": ["dog"]}),
        result("polygonlabels", {"points": [[10, 10], [20, 10], [20, 50]], "polygonlabels": ["dog"]}),
        result("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 25, "ellipselabels": ["cat"]}),
        result("keypointlabels", {"x": 1, "y": 1, "keypointlabels": ["eye"]}),
        result("textarea", {"text": ["dark"]}),
    ]
    save_tasks(tmp_path / "project.json", [task(1, regions), task(2, [])], "images/0a1b2c3d-1.jpg", "images/2.jpg")
    data = read(tmp_path)
    assert (data.format, data.classes) == ("label studio", ("cat", "dog"))
    assert list(data.files) == [f"{tmp_path}/images/0a1b2c3d-1.jpg", f"{tmp_path}/images/2.jpg"]
    record = list(data)[0]
    boxes = [[20, 20, 50, 60], [-20, 20, 20, 50], [10, 8, 20, 40], [40, 20, 60, 60]]
    assert np.allclose(record["boxes"], boxes, atol=1e-4) and record["labels"].tolist() == [0, 1, 1, 0]
    assert (record["image_id"], record["location"]) == (1, "task 1 in project.json")
    assert [finding.reason for finding in data.findings] == [
        "1 results of the type keypointlabels have no size",
        "1 results of the type textarea are not objects",
    ]


def test_labels_may_stand_in_a_result_of_their_own(tmp_path):
    regions = [result("rectangle", RECTANGLE), result("labels", RECTANGLE | {"labels": ["cat"]})]
    path = save_tasks(tmp_path / "project.json", [task(1, regions)], "1.jpg")
    data = read(path)
    assert data.classes == ("cat",) and data.columns["boxes"].values.tolist() == [[20, 20, 50, 60]]


def test_addresses_and_local_files_are_found_by_their_names(tmp_path):
    addresses = ("s3://bucket/set/{}.jpg", "https://host/a/{}.jpg?width=9", "/data/local-files/?d=set/{}.jpg")
    regions = [result("rectanglelabels", RECTANGLE | {"rectanglelabels": ["cat"]})]
    tasks = [task(number, regions, address) for number, address in enumerate(addresses)]
    path = save_tasks(tmp_path / "project.json", tasks, "0.jpg", "1.jpg", "2.jpg")
    assert list(read(path).files) == [f"{tmp_path}/{number}.jpg" for number in range(3)]


def test_one_annotation_of_a_task_counts(tmp_path):
    def annotations(*entries):
        regions = [[result("rectanglelabels", RECTANGLE | {"rectanglelabels": [name]})] for name, _ in entries]
        fields = [fields for _, fields in entries]
        return [task(0, results, **more)["annotations"][0] for results, more in zip(regions, fields, strict=True)]

    tasks = [task(number, []) for number in range(4)]
    early, late = {"updated_at": "2024-01-01"}, {"updated_at": "2024-02-01"}
    tasks[0]["annotations"] = annotations(("cat", late), ("dog", early))
    tasks[1]["annotations"] = annotations(("cat", late), ("dog", early | {"ground_truth": True}))
    tasks[2]["annotations"] = annotations(("cat", late | {"was_cancelled": True}), ("dog", early))
    tasks[3]["annotations"] = annotations(("cat", late | {"was_cancelled": True}))
    data = read(save_tasks(tmp_path / "project.json", tasks, *(f"{number}.jpg" for number in range(4))))
    assert [data.classes[label] for label in data.columns["labels"].values] == ["cat", "dog", "dog"]
    assert len(data) == 3
    reasons = ["1 tasks have several annotations", "1 tasks are not annotated", "1 images lie beside"]
    assert [finding.reason[: len(reason)] for finding, reason in zip(data.findings, reasons, strict=True)] == reasons


def test_choices_of_one_question_are_labels(tmp_path):
    tasks = [task(number, [result("choices", {"choices": [name]}, id=None)]) for number, name in enumerate("abab")]
    path = save_tasks(tmp_path / "project.json", tasks, *(f"{number}.jpg" for number in range(4)))
    data = read(path)
    assert (data.task, data.classes, data.columns["label"].tolist()) == ("classification", ("a", "b"), [0, 1, 0, 1])
    tasks[0]["annotations"][0]["result"].append(result("choices", {"choices": ["day"]}, from_name="time", id=None))
    tasks[1]["annotations"][0]["result"].append(result("rectanglelabels", RECTANGLE | {"rectanglelabels": ["cat"]}))
    path.write_text(json.dumps(tasks))
    data = read(path)
    assert data.task == "detection" and data.findings[0].kind == "several questions"


def test_json_min_is_read(tmp_path):
    meta = {"annotator": 1, "annotation_id": 5, "created_at": "x", "updated_at": "y", "lead_time": 2.5}
    region = RECTANGLE | {"rectanglelabels": ["cat"], "original_width": 100, "original_height": 80}
    tasks = [{"image": f"/data/upload/{n}.jpg", "id": n, "label": [region]} | meta for n in range(2)]
    data = read(save_tasks(tmp_path / "min.json", tasks, "0.jpg", "1.jpg"))
    assert (data.format, data.task, data.classes) == ("label studio", "detection", ("cat",))
    assert data.columns["boxes"].values.tolist() == [[20, 20, 50, 60]] * 2
    tasks = [{"image": f"/data/upload/{n}.jpg", "id": n, "kind": name} | meta for n, name in enumerate("aabb")]
    data = read(save_tasks(tmp_path / "min.json", tasks, "0.jpg", "1.jpg", "2.jpg", "3.jpg"))
    assert (data.task, data.columns["label"].tolist()) == ("classification", [0, 0, 1, 1])


def test_run_lengths_of_brush_strokes_are_decoded(tmp_path, monkeypatch):
    header = [(14, 32), (7, 5), (2, 4), (7, 4), (7, 4), (7, 4)]  # 14 words of 8 bits; runs of 3 bits, or of 8
    runs = [(1, 1), (0, 2), (4, 3), (255, 8), (0, 1), (0, 2), (1, 3), (3, 8), (9, 8), (1, 1), (1, 2), (6, 8), (0, 8)]
    content = pack_bits(*header, *runs)
    assert decode_runs(np.array(content, np.uint8), 14).tolist() == [255] * 5 + [3, 9] + [0] * 7
    with pytest.raises(ValueError, match="end early"):
        decode_runs(np.array(content[:8], np.uint8), 14)
    with pytest.raises(ValueError, match="do not fill its image"):
        decode_runs(np.array(content, np.uint8), 15)
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    # An image of 100 x 80 pixels whose first two rows are painted: 800 words of 255, then 31,200 of 0.
    header = [(32000, 32), (7, 5), (2, 4), (15, 4), (15, 4), (15, 4)]
    content = pack_bits(*header, (1, 1), (1, 2), (799, 16), (255, 8), (1, 1), (1, 2), (31199, 16), (0, 8))
    regions = [result("brushlabels", {"format": "rle", "rle": content, "brushlabels": ["cat"]})]
    path = save_tasks(tmp_path / "data/project.json", [task(1, regions)], "1.jpg")
    assert read(path).columns["boxes"].values.tolist() == [[0, 0, 100, 2]]
    mask = np.asarray(Image.open(read(path, task="segmentation").columns["mask"][0]))
    assert (mask[:2] == 1).all() and not mask[2:].any()


def test_what_cannot_be_placed_is_named(tmp_path):
    named = RECTANGLE | {"rectanglelabels": ["cat"]}
    regions = [
        result("rectanglelabels", named, image_rotation=90),
        result("rectanglelabels", named, original_width=None),
        result("rectanglelabels", RECTANGLE, id="x"),
        result("rectanglelabels", named),
    ]
    data = read(save_tasks(tmp_path / "project.json", [task(1, regions)], "1.jpg"))
    assert len(data.columns["labels"].values) == 1
    words = ["was rotated in Label Studio", "no original_width", "it has no label"]
    assert all(word in finding.reason for word, finding in zip(words, data.findings, strict=True))
    assert data.findings[0].item == "region 1 of task 1 in project.json"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([task(1, [], "https://host/first.jpg")] * 2, "none of its 2 images is there, the first is https://host/first"),
        (
            [{"id": 1, "data": {"text": "x"}, "annotations": [{"result": []}]}],
            "no task has one image (the first has text)",
        ),
    ],
)
def test_tasks_whose_images_are_elsewhere_are_refused(tmp_path, tasks, message):
    path = save_tasks(tmp_path / "project.json", tasks)
    assert f"annotations of Label Studio, but {message}" in explain_file(str(path)).problem

"""The check: what it finds in small made-up datasets, and what would stop a training."""

import csv
import dataclasses
import json
import os
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.check import check
from retinue.data.checking.summary import problem_lines, summary_lines
from retinue.data.dataset import Dataset, Ragged
from retinue.data.readers.read import read
from retinue.data.storage.content import content_ids


def save_image(path, seed=None, size=(24, 16), orientation=1):
    """Save an image of noise, different for each seed; by default for each path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(str(path).encode()) if seed is None else seed)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def images(tmp_path):
    """Four valid images each of cats and dogs."""
    folder = tmp_path / "images"
    for name in ("cat", "dog"):
        for number in range(4):
            save_image(folder / name / f"{number}.jpg")
    return folder


def kinds(report, severity=None):
    return [finding.kind for finding in report.findings if severity in (None, finding.severity)]


def finding_of(report, kind):
    """Return the only finding of a kind."""
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def test_a_valid_dataset_has_no_findings(images):
    report = check(read(images))
    assert (report.findings, report.would_fail, len(report.invalid_rows)) == ([], [], 0)
    assert report.class_counts[""].tolist() == [4, 4]
    assert problem_lines(report) == []
    assert summary_lines(report) == [
        f"data     {images} (class folders, for classification), 8 images",
        f"labels   the names of the folders in {images}",
        "classes  2: cat 4, dog 4",
        "sizes    all 24 x 16 pixels; JPEG 8",
        "invalid  0 of 8 images can't be used",
        f"next     retinue train {images}",
    ]


def test_bad_files_are_named_and_left_out(images):
    (images / "cat/0.jpg").write_bytes(b"")
    (images / "dog/1.jpg").write_text("hello")
    (images / "dog/3.jpg").write_bytes((images / "dog/3.jpg").read_bytes()[:-50])
    report = check(read(images), on_invalid="skip")
    assert report.invalid_rows.tolist() == [0, 5, 7]
    assert kinds(report, "invalid") == ["empty", "not an image", "truncated"]
    assert finding_of(report, "truncated").file == f"{images}/dog/3.jpg"
    assert finding_of(report, "truncated").action == "skipped; copy it again from its source"
    assert report.would_fail == []
    assert report.class_counts[""].tolist() == [3, 2]
    usable, _ = report.usable()
    assert [os.path.relpath(name, images) for name in usable.files] == [
        *("cat/1.jpg", "cat/2.jpg", "cat/3.jpg"),
        *("dog/0.jpg", "dog/2.jpg"),
    ]


def test_too_many_invalid_files_stop_unless_they_are_skipped(images):
    (images / "cat/0.jpg").write_bytes(b"")
    report = check(read(images), max_invalid_fraction=0.12)
    assert report.would_fail == [
        "1 of 8 files are invalid (12.5%, more than 12%); fix them, or skip them with --set data.on_invalid=skip"
    ]
    assert summary_lines(report)[-1] == f"next     retinue train {images} --set data.on_invalid=skip"
    assert check(read(images), max_invalid_fraction=0.125).would_fail == []
    assert check(read(images), max_invalid_fraction=0.12, on_invalid="skip").would_fail == []


def test_only_invalid_files(images):
    for path in images.glob("*/*"):
        path.write_bytes(b"")
    report = check(read(images), on_invalid="skip")
    assert report.would_fail[0] == f"no file can be used, the first is {images}/cat/0.jpg: 0 bytes"
    assert report.to_dict()["sizes"] == {}
    assert summary_lines(report)[3] == "sizes    none is known"


def test_a_missing_file_is_invalid(images):
    (images / "labels.csv").write_text("file,label\ncat/0.jpg,cat\ncat/7.jpg,cat\ndog/1.jpg,dog\n")
    report = check(read(images / "labels.csv"), max_invalid_fraction=1)
    assert (finding_of(report, "missing").file, report.invalid_rows.tolist()) == (f"{images}/cat/7.jpg", [1])


def test_a_huge_image_is_invalid(images):
    assert check(read(images), max_pixels=24 * 16 - 1).would_fail[0].startswith("no file can be used, the first is ")


def test_a_single_class_stops_training(images):
    table = images / "labels.csv"
    table.write_text(
        "\n".join(["file,label", *(f"cat/{path.name},cat" for path in sorted((images / "cat").iterdir()))])
    )
    report = check(read(table))
    assert report.would_fail == ["there is only one class, cat; add a class to tell it from"]
    assert summary_lines(report)[-1] == f"next     fix what stops it, then: retinue check {table}"


def test_an_empty_class_stops_training(images):
    (images / "fox").mkdir()
    reason = "1 class has no usable image to train on: fox; add images to train, or remove the class"
    assert check(read(images)).would_fail == [reason]


def test_a_class_whose_images_are_all_invalid_stops_training(images):
    for path in (images / "dog").iterdir():
        path.write_bytes(b"")
    assert "1 class has no usable image to train on: dog" in check(read(images), on_invalid="skip").would_fail[0]


def test_a_class_without_training_images_stops_training(tmp_path):
    for name in ("train/cat/1", "train/dog/1", "val/cat/2", "val/fox/2"):
        save_image(tmp_path / f"{name}.png")
    report = check(read(tmp_path))
    assert report.would_fail == [
        "1 class has no usable image to train on: fox; add images to train, or remove the class"
    ]
    assert finding_of(report, "class not in val").item == "dog"
    assert check(read(tmp_path), training=False).would_fail == []


def test_only_a_test_split_can_be_checked_for_evaluation(images):
    dataset = read(images)
    dataset = dataset.with_splits(["test"] * len(dataset))
    assert check(dataset).would_fail == ["no image is left for training"]
    assert check(dataset, training=False).would_fail == []


def test_a_class_with_one_image_can_be_trained_on_with_a_warning(images):
    save_image(images / "fox/1.jpg")
    report = check(read(images))
    assert report.would_fail == []
    assert (finding_of(report, "class with one image").item, kinds(report)) == ("fox", ["class with one image"])


def test_a_class_in_one_group_is_a_warning(images):
    lines = [
        f"{name}/{number}.jpg,{name},{name[0]}{number if name == 'cat' else ''}"
        for name in ("cat", "dog")
        for number in range(4)
    ]
    (images / "labels.csv").write_text("\n".join(["file,label,group", *lines]))
    report = check(read(images / "labels.csv"))
    assert (kinds(report), finding_of(report, "class in one group").item) == (["class in one group"], "dog")


def test_a_group_in_several_splits_is_a_warning(images):
    (images / "labels.csv").write_text(
        "file,label,split,group\ncat/0.jpg,cat,train,p\ncat/1.jpg,cat,val,p\ndog/0.jpg,dog,train,q\ndog/1.jpg,dog,val,r\n"
    )
    assert (
        finding_of(check(read(images / "labels.csv")), "group across splits").reason
        == "the group p is in train and val"
    )


def test_class_names_that_only_differ_in_case_are_a_warning(images):
    save_image(images / "Cat" / "1.jpg")
    save_image(images / "Cat" / "2.jpg")
    assert finding_of(check(read(images)), "similar class names").reason.startswith(
        "the classes Cat and cat only differ in case"
    )


def test_a_duplicate_in_the_same_split_is_a_note(images):
    shutil.copy(images / "cat/0.jpg", images / "cat/copy.jpg")
    report = check(read(images))
    finding = finding_of(report, "duplicate")
    assert (finding.severity, finding.file) == ("note", f"{images}/cat/copy.jpg")
    assert finding.reason == f"the same bytes as {images}/cat/0.jpg"
    assert [rows.tolist() for rows in report.duplicate_groups] == [[0, 4]]
    assert kinds(report) == ["duplicate"]


def test_a_duplicate_with_another_label_is_a_warning(images):
    shutil.copy(images / "cat/0.jpg", images / "dog/copy.jpg")
    finding = finding_of(check(read(images)), "same image, other label")
    assert (finding.severity, finding.item) == ("warning", "dog")
    assert finding.reason == f"labeled dog, and the same bytes are labeled cat as {images}/cat/0.jpg"


def test_a_duplicate_in_another_split_is_a_warning(tmp_path):
    for name in ("train/cat/1", "train/dog/1", "val/cat/2", "val/dog/2", "test/cat/3", "test/dog/3"):
        save_image(tmp_path / f"{name}.jpg")
    shutil.copy(tmp_path / "train/cat/1.jpg", tmp_path / "val/cat/again.jpg")
    shutil.copy(tmp_path / "val/dog/2.jpg", tmp_path / "test/cat/again.jpg")
    report = check(read(tmp_path))
    assert report.would_fail == []
    leaks = [finding for finding in report.findings if finding.kind == "duplicate across splits"]
    assert [(os.path.relpath(leak.file, tmp_path), leak.reason) for leak in leaks] == [
        ("test/cat/again.jpg", f"in test, and the same bytes are in val as {tmp_path}/val/dog/2.jpg"),
        ("val/cat/again.jpg", f"in val, and the same bytes are in train as {tmp_path}/train/cat/1.jpg"),
    ]
    assert sorted(kinds(report)) == ["duplicate across splits"] * 2 + ["same image, other label"]


def test_files_of_equal_size_and_invalid_files_are_not_duplicates(tmp_path):
    for name in "ab":
        for number in range(2):
            save_image(tmp_path / name / f"{number}.bmp")  # all of one size
            (tmp_path / name / f"empty{number}.jpg").touch()
    report = check(read(tmp_path), on_invalid="skip")
    assert len({os.path.getsize(path) for path in tmp_path.glob("*/*.bmp")}) == 1
    assert report.duplicate_groups == []


def test_duplicate_groups_follow_when_invalid_rows_go(images):
    (images / "cat/0.jpg").write_bytes(b"")
    shutil.copy(images / "dog/1.jpg", images / "dog/copy.jpg")
    usable, groups = check(read(images), on_invalid="skip").usable()
    (rows,) = groups
    assert [os.path.basename(usable.files[row]) for row in rows] == ["1.jpg", "copy.jpg"]


def test_several_labels_are_counted_and_compared(tmp_path):
    files = [str(save_image(tmp_path / f"{number}.png", seed=number // 2)) for number in range(4)]
    labels = Ragged.from_rows([[0, 1], [1, 0], [1], []], np.int64)
    report = check(Dataset("classification", files, ("a", "b"), {"labels": labels}))
    assert kinds(report) == ["duplicate", "same image, other label"]
    assert finding_of(report, "same image, other label").item == "nothing"
    assert summary_lines(report)[1] == "classes  2, several per image: b 3, a 2"
    assert "1 class" not in str(report.would_fail)


def test_rotated_images_are_counted_and_measured_upright(images):
    save_image(images / "cat/0.jpg", orientation=6)
    save_image(images / "cat/1.jpg", orientation=3)
    report = check(read(images)).to_dict()
    assert report["exif_rotated"] == 2
    assert report["sizes"]["width"] == {"min": 16, "median": 24, "max": 24}
    assert report["sizes"]["height"] == {"min": 16, "median": 16, "max": 24}


def test_wrong_extensions_and_small_images_are_warnings(images):
    Image.new("RGB", (1, 1)).save(images / "cat/0.jpg", "PNG")
    assert kinds(check(read(images)), "warning") == ["wrong extension", "very small"]


def test_findings_of_the_reader_are_reported(images):
    (images / "cat/notes.txt").touch()
    assert kinds(check(read(images)), "warning") == ["not used"]


def test_the_dataset_of_the_report_has_content_ids(images):
    (images / "cat/0.jpg").write_bytes(b"")
    (images / "dog/1.jpg").write_text("hello")
    report = check(read(images), on_invalid="skip")
    usable, _ = report.usable()
    assert usable.content_ids.tolist() == content_ids(usable.files)
    assert [report.dataset.content_ids[row] for row in report.invalid_rows] == ["", ""]
    assert usable.fingerprint == dataclasses.replace(usable, content_ids=None).fingerprint


def test_threads_and_progress_do_not_change_the_result(images):
    for number in range(70):  # more than one chunk for the threads
        save_image(images / "cat" / f"more {number}.png")
    seen = []
    one = check(read(images), num_workers=1, progress=lambda done, total: seen.append((done, total)))
    four = check(read(images), num_workers=4)
    assert one.files == four.files and one.findings == four.findings
    assert seen == [(64, 78), (78, 78)]


def test_the_files_of_a_report(images, tmp_path):
    (images / "cat/0.jpg").write_bytes(b"")
    (images / 'dog/it, "quoted" 猫.txt').touch()
    save_image(images / "dog/rotated.jpg", size=(40, 10), orientation=6)
    report = check(read(images))
    report.write(tmp_path / "check")
    assert sorted(os.listdir(tmp_path / "check")) == ["problems.csv", "report.json", "samples.jpg"]
    assert json.loads((tmp_path / "check/report.json").read_text("utf-8")) == report.to_dict()
    with open(tmp_path / "check/problems.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert lines == [
        ["file", "item", "reason", "action"],
        [f'{images}/dog/it, "quoted" 猫.txt', "", "not an image", "ignored"],
        [f"{images}/cat/0.jpg", "", "0 bytes", "skipped; copy it again from its source"],
    ]
    with Image.open(tmp_path / "check/samples.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width == 8 * 160


def test_a_file_name_that_is_not_unicode_is_escaped(images, tmp_path):
    os.rename(images / "cat/0.jpg", os.fsencode(images) + b"/cat/\xff.jpg")
    report = check(read(images))
    assert kinds(report) == ["file name"]
    assert problem_lines(report) == ["file name: cat/\\udcff.jpg (its name is not valid UTF-8)"]
    report.write(tmp_path / "check")
    assert f"{images}/cat/\\udcff.jpg" in (tmp_path / "check/problems.csv").read_text("utf-8")


def test_the_report_as_plain_values(images):
    shutil.copy(images / "cat/0.jpg", images / "cat/copy.jpg")
    values = check(read(images)).to_dict()
    assert values["classes"] == {"cat": {"unsplit": 5}, "dog": {"unsplit": 4}}
    assert (values["files"], values["invalid_files"], values["splits"]) == (9, 0, {"unsplit": 9})
    assert values["formats"] == {"JPEG": 9} and values["channels"] == {"RGB": 9}
    assert values["duplicate_groups"] == [[f"{images}/cat/0.jpg", f"{images}/cat/copy.jpg"]]
    assert values["problems"] == [{"severity": "note", "kind": "duplicate", "count": 1}]
    assert values["would_fail"] == []


def test_three_examples_of_each_kind_are_shown_the_worst_kind_first(images):
    for number in range(4):
        (images / "cat" / f"note {number}.txt").touch()
    (images / "dog/0.jpg").write_bytes(b"")
    lines = summary_lines(check(read(images)))
    assert lines[5] == "invalid  empty: dog/0.jpg (0 bytes)"
    shown = "; ".join(f"cat/note {number}.txt (not an image)" for number in range(3))
    assert lines[6] == f"warning  not used (4): {shown}; ..."
    assert lines[7].startswith("stops    1 of 8 files are invalid")


def test_many_classes_are_shortened_and_odd_names_escaped(tmp_path):
    names = [f"class {number:02}" for number in range(20)] + [os.fsdecode(b"\xff")]
    labels = np.repeat(np.arange(21), [*range(2, 22), 1])
    files = [str(save_image(tmp_path / "a.png"))] * len(labels)
    lines = summary_lines(check(Dataset("classification", files, names, {"label": labels}, source=str(tmp_path))))
    assert lines[1].startswith("classes  21: class 19 21, class 18 20, class 17 19, class 16 18, ..., class 02 4,")
    assert lines[1].endswith("class 00 2, \\udcff 1")
    "\n".join(lines).encode("utf-8")  # can be printed


def test_a_source_with_spaces_is_quoted_for_the_shell(images):
    moved = images.rename(images.parent / "my images")
    assert summary_lines(check(read(moved)))[-1] == f"next     retinue train '{moved}'"


def test_a_note_on_the_whole_source_has_no_file_name(images):
    (images / "labels.csv").write_text("file,label\ncat/0.jpg,a;b\ncat/1.jpg,a\ndog/1.jpg,b\n")
    assert problem_lines(check(read(images / "labels.csv"))) == ["several labels: 1 of 3 files have more than one"]


def test_the_folder_of_the_last_check_is_not_a_class(images, monkeypatch):
    monkeypatch.chdir(images)
    check(read(".")).write("check")
    again = check(read("."))
    assert again.dataset.classes == ("cat", "dog")
    assert problem_lines(again) == ["results of retinue: check (an earlier command wrote this folder)"]


def test_a_folder_that_can_not_be_written_is_an_error(images):
    (images / "check").touch()
    with pytest.raises(RetinueError, match="this folder can't be written .*; free some space, or give another --out"):
        check(read(images)).write(images / "check")

"""The check: what it finds in small made-up datasets, and what of it would stop a training."""

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
from retinue.data.checking.check_report import problem_lines, summary_lines
from retinue.data.dataset import Dataset, Ragged
from retinue.data.readers.read import read
from retinue.data.storage.content import content_ids


def photo(path, seed=None, size=(24, 16), orientation=1):
    """A picture of noise, different for each seed; by default for each path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(str(path).encode()) if seed is None else seed)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def photos(tmp_path):
    """Four cats and four dogs, all well."""
    folder = tmp_path / "photos"
    for name in ("cat", "dog"):
        for number in range(4):
            photo(folder / name / f"{number}.jpg")
    return folder


def kinds(report, severity=None):
    return [found.kind for found in report.findings if severity in (None, found.severity)]


def found(report, kind):
    """The one finding of its kind."""
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def test_all_is_well(photos):
    report = check(read(photos))
    assert (report.findings, report.would_fail, len(report.bad_rows)) == ([], [], 0)
    assert report.class_counts[""].tolist() == [4, 4]
    assert problem_lines(report) == []
    assert summary_lines(report) == [
        f"data     {photos} (class folders), 8 photos",
        "classes  2: cat 4, dog 4",
        "sizes    all 24 x 16 pixels; JPEG 8",
        "bad      0 of 8 photos can't be used",
        f"next     retinue train {photos}",
    ]


def test_bad_files_are_named_and_left_out(photos):
    (photos / "cat/0.jpg").write_bytes(b"")
    (photos / "dog/1.jpg").write_text("hello")
    (photos / "dog/3.jpg").write_bytes((photos / "dog/3.jpg").read_bytes()[:-50])
    report = check(read(photos), on_invalid="skip")
    assert report.bad_rows.tolist() == [0, 5, 7]
    assert kinds(report, "bad") == ["empty", "not an image", "truncated"]
    assert found(report, "truncated").file == f"{photos}/dog/3.jpg"
    assert found(report, "truncated").action == "left out; copy it again from where it came from"
    assert report.would_fail == []
    assert report.class_counts[""].tolist() == [3, 2]
    usable, _ = report.usable()
    assert [os.path.relpath(name, photos) for name in usable.files] == [
        *("cat/1.jpg", "cat/2.jpg", "cat/3.jpg"),
        *("dog/0.jpg", "dog/2.jpg"),
    ]


def test_too_many_bad_files_stop_unless_they_are_skipped(photos):
    (photos / "cat/0.jpg").write_bytes(b"")
    report = check(read(photos), max_invalid_fraction=0.12)
    assert report.would_fail == [
        "1 of 8 files are bad (12.5%, more than 12%); mend them, or leave them out with --set data.on_invalid=skip"
    ]
    assert summary_lines(report)[-1] == f"next     retinue train {photos} --set data.on_invalid=skip"
    assert check(read(photos), max_invalid_fraction=0.125).would_fail == []
    assert check(read(photos), max_invalid_fraction=0.12, on_invalid="skip").would_fail == []


def test_nothing_but_bad_files(photos):
    for path in photos.glob("*/*"):
        path.write_bytes(b"")
    report = check(read(photos), on_invalid="skip")
    assert report.would_fail[0] == f"no file can be used, the first is {photos}/cat/0.jpg: 0 bytes"
    assert report.to_dict()["sizes"] == {}
    assert summary_lines(report)[2] == "sizes    none is known"


def test_a_missing_file(photos):
    (photos / "labels.csv").write_text("file,label\ncat/0.jpg,cat\ncat/7.jpg,cat\ndog/1.jpg,dog\n")
    report = check(read(photos / "labels.csv"), max_invalid_fraction=1)
    assert (found(report, "missing").file, report.bad_rows.tolist()) == (f"{photos}/cat/7.jpg", [1])


def test_a_huge_picture(photos):
    assert check(read(photos), max_pixels=24 * 16 - 1).would_fail[0].startswith("no file can be used, the first is ")


def test_one_class_only(photos):
    shutil.rmtree(photos / "dog")
    report = check(read(photos))
    assert report.would_fail == ["there is only one class, cat; add a class to tell it from"]
    assert summary_lines(report)[-1] == f"next     mend what stops it, then: retinue check {photos}"


def test_an_empty_class(photos):
    (photos / "fox").mkdir()
    reason = "1 class has no usable photo to train on: fox; add photos to train, or take the class out"
    assert check(read(photos)).would_fail == [reason]


def test_a_class_whose_photos_are_all_bad(photos):
    for path in (photos / "dog").iterdir():
        path.write_bytes(b"")
    assert "1 class has no usable photo to train on: dog" in check(read(photos), on_invalid="skip").would_fail[0]


def test_a_label_with_no_examples_in_train(tmp_path):
    for name in ("train/cat/1", "train/dog/1", "val/cat/2", "val/fox/2"):
        photo(tmp_path / f"{name}.png")
    report = check(read(tmp_path))
    assert report.would_fail == [
        "1 class has no usable photo to train on: fox; add photos to train, or take the class out"
    ]
    assert found(report, "class not in val").item == "dog"
    assert check(read(tmp_path), training=False).would_fail == []


def test_only_a_test_split_can_be_checked_for_evaluation(photos):
    dataset = read(photos)
    dataset = dataset.with_splits(["test"] * len(dataset))
    assert check(dataset).would_fail == ["no photo is left for training"]
    assert check(dataset, training=False).would_fail == []


def test_a_class_with_one_photo_trains_and_is_warned_of(photos):
    photo(photos / "fox/1.jpg")
    report = check(read(photos))
    assert report.would_fail == []
    assert (found(report, "class with one photo").item, kinds(report)) == ("fox", ["class with one photo"])


def test_a_class_in_one_group(photos):
    lines = [
        f"{name}/{number}.jpg,{name},{name[0]}{number if name == 'cat' else ''}"
        for name in ("cat", "dog")
        for number in range(4)
    ]
    (photos / "labels.csv").write_text("\n".join(["file,label,group", *lines]))
    report = check(read(photos / "labels.csv"))
    assert (kinds(report), found(report, "class in one group").item) == (["class in one group"], "dog")


def test_a_group_that_the_splits_tear_apart(photos):
    (photos / "labels.csv").write_text(
        "file,label,split,group\ncat/0.jpg,cat,train,p\ncat/1.jpg,cat,val,p\ndog/0.jpg,dog,train,q\ndog/1.jpg,dog,val,r\n"
    )
    assert found(check(read(photos / "labels.csv")), "group across splits").reason == "the group p is in train and val"


def test_classes_that_differ_in_case_only(photos):
    photo(photos / "Cat" / "1.jpg")
    photo(photos / "Cat" / "2.jpg")
    assert found(check(read(photos)), "classes alike").reason.startswith("the classes Cat and cat differ by nothing")


def test_duplicates_in_one_split(photos):
    shutil.copy(photos / "cat/0.jpg", photos / "cat/copy.jpg")
    report = check(read(photos))
    finding = found(report, "duplicate")
    assert (finding.severity, finding.file) == ("note", f"{photos}/cat/copy.jpg")
    assert finding.reason == f"the same bytes as {photos}/cat/0.jpg"
    assert [rows.tolist() for rows in report.duplicate_groups] == [[0, 4]]
    assert kinds(report) == ["duplicate"]


def test_duplicates_with_other_labels(photos):
    shutil.copy(photos / "cat/0.jpg", photos / "dog/copy.jpg")
    finding = found(check(read(photos)), "same photo, other label")
    assert (finding.severity, finding.item) == ("warning", "dog")
    assert finding.reason == f"labelled dog, and the same bytes are labelled cat as {photos}/cat/0.jpg"


def test_duplicates_across_splits(tmp_path):
    for name in ("train/cat/1", "train/dog/1", "val/cat/2", "val/dog/2", "test/cat/3", "test/dog/3"):
        photo(tmp_path / f"{name}.jpg")
    shutil.copy(tmp_path / "train/cat/1.jpg", tmp_path / "val/cat/again.jpg")
    shutil.copy(tmp_path / "val/dog/2.jpg", tmp_path / "test/cat/again.jpg")
    report = check(read(tmp_path))
    assert report.would_fail == []
    leaks = [finding for finding in report.findings if finding.kind == "duplicate across splits"]
    assert [(os.path.relpath(leak.file, tmp_path), leak.reason) for leak in leaks] == [
        ("test/cat/again.jpg", f"in test, and the same bytes are in val as {tmp_path}/val/dog/2.jpg"),
        ("val/cat/again.jpg", f"in val, and the same bytes are in train as {tmp_path}/train/cat/1.jpg"),
    ]
    assert sorted(kinds(report)) == ["duplicate across splits"] * 2 + ["same photo, other label"]


def test_equal_sizes_are_no_duplicates_and_bad_files_are_none_either(tmp_path):
    for name in "ab":
        for number in range(2):
            photo(tmp_path / name / f"{number}.bmp")  # all of one size
            (tmp_path / name / f"empty{number}.jpg").touch()
    report = check(read(tmp_path), on_invalid="skip")
    assert len({os.path.getsize(path) for path in tmp_path.glob("*/*.bmp")}) == 1
    assert report.duplicate_groups == []


def test_duplicate_groups_follow_when_bad_rows_go(photos):
    (photos / "cat/0.jpg").write_bytes(b"")
    shutil.copy(photos / "dog/1.jpg", photos / "dog/copy.jpg")
    usable, groups = check(read(photos), on_invalid="skip").usable()
    (rows,) = groups
    assert [os.path.basename(usable.files[row]) for row in rows] == ["1.jpg", "copy.jpg"]


def test_several_labels(tmp_path):
    files = [str(photo(tmp_path / f"{number}.png", seed=number // 2)) for number in range(4)]
    labels = Ragged.from_rows([[0, 1], [1, 0], [1], []], np.int64)
    report = check(Dataset("classification", files, ("a", "b"), {"labels": labels}))
    assert kinds(report) == ["duplicate", "same photo, other label"]
    assert found(report, "same photo, other label").item == "nothing"
    assert summary_lines(report)[1] == "classes  2, several a photo: b 3, a 2"
    assert "1 class" not in str(report.would_fail)


def test_rotated_photos_are_counted_and_measured_upright(photos):
    photo(photos / "cat/0.jpg", orientation=6)
    photo(photos / "cat/1.jpg", orientation=3)
    report = check(read(photos)).to_dict()
    assert report["exif_rotated"] == 2
    assert report["sizes"]["width"] == {"min": 16, "median": 24, "max": 24}
    assert report["sizes"]["height"] == {"min": 16, "median": 16, "max": 24}


def test_wrong_extensions_and_small_pictures_are_warned_of(photos):
    Image.new("RGB", (1, 1)).save(photos / "cat/0.jpg", "PNG")
    assert kinds(check(read(photos)), "warning") == ["wrong extension", "very small"]


def test_what_the_reader_noticed_comes_along(photos):
    (photos / "cat/notes.txt").touch()
    assert kinds(check(read(photos)), "warning") == ["not used"]


def test_the_reports_dataset_knows_its_contents(photos):
    (photos / "cat/0.jpg").write_bytes(b"")
    (photos / "dog/1.jpg").write_text("hello")
    report = check(read(photos), on_invalid="skip")
    usable, _ = report.usable()
    assert usable.content_ids.tolist() == content_ids(usable.files)
    assert [report.dataset.content_ids[row] for row in report.bad_rows] == ["", ""]
    assert usable.fingerprint == dataclasses.replace(usable, content_ids=None).fingerprint


def test_threads_and_progress_change_nothing(photos):
    for number in range(70):  # more than one portion for the threads
        photo(photos / "cat" / f"more {number}.png")
    seen = []
    one = check(read(photos), workers=1, progress=lambda done, total: seen.append((done, total)))
    four = check(read(photos), workers=4)
    assert one.images == four.images and one.findings == four.findings
    assert seen == [(64, 78), (78, 78)]


def test_what_is_written(photos, tmp_path):
    (photos / "cat/0.jpg").write_bytes(b"")
    (photos / 'dog/it, "quoted" 猫.txt').touch()
    photo(photos / "dog/turned.jpg", size=(40, 10), orientation=6)
    report = check(read(photos))
    report.write(tmp_path / "check")
    assert sorted(os.listdir(tmp_path / "check")) == ["problems.csv", "report.json", "samples.jpg"]
    assert json.loads((tmp_path / "check/report.json").read_text("utf-8")) == report.to_dict()
    with open(tmp_path / "check/problems.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert lines == [
        ["file", "item", "reason", "action"],
        [f'{photos}/dog/it, "quoted" 猫.txt', "", "not an image", "passed over"],
        [f"{photos}/cat/0.jpg", "", "0 bytes", "left out; copy it again from where it came from"],
    ]
    with Image.open(tmp_path / "check/samples.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width == 8 * 160


def test_a_file_name_that_is_not_unicode(photos, tmp_path):
    os.rename(photos / "cat/0.jpg", os.fsencode(photos) + b"/cat/\xff.jpg")
    report = check(read(photos))
    assert kinds(report) == ["file name"]
    assert problem_lines(report) == ["file name: cat/\\udcff.jpg (its name is not valid UTF-8)"]
    report.write(tmp_path / "check")
    assert f"{photos}/cat/\\udcff.jpg" in (tmp_path / "check/problems.csv").read_text("utf-8")


def test_the_report_as_values(photos):
    shutil.copy(photos / "cat/0.jpg", photos / "cat/copy.jpg")
    values = check(read(photos)).to_dict()
    assert values["classes"] == {"cat": {"unsplit": 5}, "dog": {"unsplit": 4}}
    assert (values["files"], values["bad_files"], values["splits"]) == (9, 0, {"unsplit": 9})
    assert values["formats"] == {"JPEG": 9} and values["channels"] == {"RGB": 9}
    assert values["duplicate_groups"] == [[f"{photos}/cat/0.jpg", f"{photos}/cat/copy.jpg"]]
    assert values["problems"] == [{"severity": "note", "kind": "duplicate", "count": 1}]
    assert values["would_fail"] == []


def test_the_screen_shows_three_examples_of_a_kind_the_worst_kind_first(photos):
    for number in range(4):
        (photos / "cat" / f"note {number}.txt").touch()
    (photos / "dog/0.jpg").write_bytes(b"")
    lines = summary_lines(check(read(photos)))
    assert lines[4] == "bad      empty: dog/0.jpg (0 bytes)"
    shown = "; ".join(f"cat/note {number}.txt (not an image)" for number in range(3))
    assert lines[5] == f"warning  not used (4): {shown}; ..."
    assert lines[6].startswith("stops    1 of 8 files are bad")


def test_many_classes_and_odd_names_fit_on_the_screen(tmp_path):
    names = [f"class {number:02}" for number in range(20)] + [os.fsdecode(b"\xff")]
    labels = np.repeat(np.arange(21), [*range(2, 22), 1])
    files = [str(photo(tmp_path / "a.png"))] * len(labels)
    lines = summary_lines(check(Dataset("classification", files, names, {"label": labels}, source=str(tmp_path))))
    assert lines[1].startswith("classes  21: class 19 21, class 18 20, class 17 19, class 16 18, ..., class 02 4,")
    assert lines[1].endswith("class 00 2, \\udcff 1")
    "\n".join(lines).encode("utf-8")  # can be printed


def test_a_source_with_spaces_can_be_copied_into_a_shell(photos):
    moved = photos.rename(photos.parent / "my photos")
    assert summary_lines(check(read(moved)))[-1] == f"next     retinue train '{moved}'"


def test_a_note_on_the_whole_source_reads_as_a_sentence(photos):
    (photos / "labels.csv").write_text("file,label\ncat/0.jpg,a;b\ncat/1.jpg,a\ndog/1.jpg,b\n")
    assert problem_lines(check(read(photos / "labels.csv"))) == ["several labels: 1 of 3 files have more than one"]


def test_the_folder_of_the_last_check_is_no_class(photos, monkeypatch):
    monkeypatch.chdir(photos)
    check(read(".")).write("check")
    again = check(read("."))
    assert again.dataset.classes == ("cat", "dog")
    assert problem_lines(again) == ["results of retinue: check (an earlier command wrote this folder)"]


def test_a_place_that_can_not_be_written(photos):
    (photos / "check").touch()
    with pytest.raises(RetinueError, match="check: can't be written .*; make room, or give another --out"):
        check(read(photos)).write(photos / "check")

"""Clips in every format: class folders, folders of frames, UCF-101, HMDB-51, CSV with times, tfds."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import Clip
from retinue.data.readers.read import read, understand
from retinue.data.split import split
from retinue.tests.helpers.clips import moving_frames, write_video


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def labels(dataset):
    return {Path(record["file"]).name: dataset.classes[record["label"]] for record in dataset}


def test_class_folders_of_videos_are_read(tmp_path):
    touch(tmp_path / "jump" / "a.MP4", tmp_path / "run" / "b.webm", tmp_path / "run" / "deep" / "c.mkv")
    touch(tmp_path / "run" / "notes.txt", tmp_path / "run" / ".hidden.mp4")
    dataset = read(str(tmp_path))
    assert dataset.task == "video" and dataset.format == "clip folders" and dataset.classes == ("jump", "run")
    assert labels(dataset) == {"a.MP4": "jump", "b.webm": "run", "c.mkv": "run"}
    assert [finding.file for finding in dataset.findings] == [str(tmp_path / "run" / "notes.txt")]
    assert dataset.columns["start"].tolist() == [0, 0, 0]


def test_split_folders_inside_another_folder_are_read(tmp_path):
    inner = tmp_path / "unpacked"
    touch(inner / "train" / "a" / "1.avi", inner / "train" / "b" / "2.avi", inner / "test" / "a" / "3.avi")
    dataset = read(str(tmp_path))
    assert dict(zip(map(os.path.basename, dataset.files), dataset.splits, strict=True)) == {
        "1.avi": "train",
        "2.avi": "train",
        "3.avi": "test",
    }


def test_folders_of_frames_are_clips(tmp_path):
    for name in ("jump/one", "jump/two", "run/three"):
        touch(tmp_path / name / "1.jpg", tmp_path / name / "2.jpg")
    assert understand(str(tmp_path)).format == "class folders"  # images, unless the task is given
    dataset = read(str(tmp_path), "video")
    assert labels(dataset) == {"one": "jump", "two": "jump", "three": "run"}
    with pytest.raises(UsageError, match="clip folders can't be read for classification"):
        touch(tmp_path / "run" / "clip.mp4")
        read(str(tmp_path), "classification")


def test_a_folder_without_clips_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(RetinueError, match="there are no images and no videos in it"):
        read(str(tmp_path), "video")


def test_a_folder_without_clips_is_no_class_of_clips(tmp_path):
    touch(tmp_path / "jump" / "a.mp4", tmp_path / "run" / "b.mp4", tmp_path / "labels" / "labels.json")
    (tmp_path / "walk").mkdir()
    dataset = read(tmp_path)
    assert dataset.classes == ("jump", "run", "walk")
    assert [finding.file for finding in dataset.findings] == [str(tmp_path / "labels" / "labels.json")]


def test_videos_without_class_folders_are_refused_with_the_file_that_names_them(tmp_path):
    touch(*(tmp_path / "videos" / f"{number}.webm" for number in range(100, 104)))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "train.json").write_text('[{"id": "100", "template": "Moving [something]"}]')
    (tmp_path / "labels" / "labels.json").write_text('{"Moving something": "0"}')
    with pytest.raises(RetinueError, match="4 videos in videos but only one class folder, .*/labels/train.json holds"):
        read(tmp_path)


def test_clips_that_are_cut_from_one_video_are_a_group(tmp_path):
    names = [f"{label}/v_{label}_g{group}_c{clip}" for label in ("Run", "Jump") for group in "12" for clip in "123"]
    touch(*(tmp_path / f"{name}.avi" for name in names))
    assert sorted(set(read(tmp_path).groups)) == ["v_Jump_g1", "v_Jump_g2", "v_Run_g1", "v_Run_g2"]
    touch(tmp_path / "Run" / "own.avi")
    assert read(tmp_path).groups is None


def make_ucf(folder):
    clips = ["Run/v_Run_g01_c01.avi", "Run/v_Run_g01_c02.avi", "Run/v_Run_g02_c01.avi", "Jump/v_Jump_g01_c01.avi"]
    clips += ["Jump/v_Jump_g08_c01.avi", "Run/v_Run_g08_c01.avi"]
    touch(*(folder / "UCF-101" / clip for clip in clips))
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Jump\n2 Run\n")
    (lists / "trainlist01.txt").write_text("".join(f"{clip} 1\n" for clip in clips[:4]))
    (lists / "testlist01.txt").write_text("".join(f"{clip}\n" for clip in clips[4:]))
    (lists / "trainlist02.txt").write_text(
        "Run/v_Run_g08_c01.avi 2\nJump/v_Jump_g08_c01.avi 1\nRun/v_Run_g99_c01.avi 2\n"
    )
    (lists / "testlist02.txt").write_text("Run/v_Run_g01_c01.avi\n")


def test_ucf101_is_read_with_its_splits_and_groups(tmp_path):
    make_ucf(tmp_path)
    dataset = read(str(tmp_path))
    assert dataset.format == "ucf101" and dataset.classes == ("Jump", "Run")
    assert sorted(dataset.splits) == ["test"] * 2 + ["train"] * 4
    groups = dict(zip(map(os.path.basename, dataset.files), dataset.groups, strict=True))
    assert groups["v_Run_g01_c01.avi"] == groups["v_Run_g01_c02.avi"] != groups["v_Run_g02_c01.avi"]
    second = read(str(tmp_path), fold=2)
    assert len(second) == 3 and second.findings[0].kind == "listed, not there"
    with pytest.raises(RetinueError, match="trainlist03.txt, the list of fold 3, is missing"):
        read(str(tmp_path), fold=3)
    with_val = split(dataset, val_fraction=0.4, seed=0)
    for group in set(with_val.groups):
        assert len(set(with_val.splits[with_val.groups == group])) == 1


def test_ucf101_is_read_from_folders_of_frames(tmp_path):
    make_ucf(tmp_path)
    for clip in (tmp_path / "UCF-101").glob("*/*.avi"):
        clip.unlink()
        touch(*(tmp_path / "frames" / clip.parent.name / clip.stem / f"image_{number:05d}.jpg" for number in (1, 2, 3)))
    dataset = read(tmp_path)
    assert (dataset.format, dataset.classes, len(dataset)) == ("ucf101", ("Jump", "Run"), 6)
    assert {Path(file).name: split for file, split in zip(dataset.files, dataset.splits, strict=True)} == {
        "v_Run_g01_c01": "train",
        "v_Run_g01_c02": "train",
        "v_Run_g02_c01": "train",
        "v_Jump_g01_c01": "train",
        "v_Jump_g08_c01": "test",
        "v_Run_g08_c01": "test",
    }


def test_hmdb51_is_read_with_its_splits_and_groups(tmp_path):
    names = {
        "run": ["tape_run_f_1.avi", "tape_run_f_2.avi", "other_run_0.avi"],
        "wave": ["x_wave_0.avi", "y_wave_1.avi"],
    }
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    for label, clips in names.items():
        touch(*(tmp_path / "hmdb51" / label / clip for clip in clips))
        kinds = [1, 1, 2][: len(clips)] if label == "run" else [1, 2]
        text = "".join(f"{clip} {kind} \n" for clip, kind in zip(clips, kinds, strict=True))
        (lists / f"{label}_test_split1.txt").write_text(text + "unused.avi 0 \n")
    dataset = read(str(tmp_path))
    assert dataset.format == "hmdb51" and dataset.classes == ("run", "wave") and len(dataset) == 5
    assert (dataset.splits == "test").sum() == 2
    groups = dict(zip(map(os.path.basename, dataset.files), dataset.groups, strict=True))
    assert groups["tape_run_f_1.avi"] == groups["tape_run_f_2.avi"] != groups["other_run_0.avi"]
    with pytest.raises(RetinueError, match="_test_split2.txt"):
        read(str(tmp_path), fold=2)
    (lists / "run_test_split1.txt").write_text("tape_run_f_1.avi train\n")
    with pytest.raises(RetinueError, match="run_test_split1.txt line 1"):
        read(str(tmp_path))


def write_csv(folder, text):
    touch(folder / "a.mp4", folder / "b.mp4")
    (folder / "clips.csv").write_text(text)
    return str(folder / "clips.csv")


def test_a_table_with_times_is_read(tmp_path):
    path = write_csv(tmp_path, "file,label,start,end,split\na.mp4,run,0,1.5,\na.mp4,jump,1.5,,\nb.mp4,run,,,test\n")
    dataset = read(path)
    assert dataset.format == "clips csv" and dataset.classes == ("jump", "run")
    assert dataset.columns["start"].tolist() == [0, 1.5, 0] and dataset.columns["end"].tolist() == [1.5, 0, 0]
    assert dataset.groups[0] == dataset.groups[1] != dataset.groups[2]
    assert dataset.splits.tolist() == ["", "", "test"]


def test_a_table_of_whole_videos_is_read(tmp_path):
    assert read(write_csv(tmp_path, "file,label\na.mp4,run\nb.mp4,jump\nb.mp4,jump\n")).format == "clips csv"
    (tmp_path / "images.csv").write_text("file,label\na.jpg,run\n")
    assert understand(str(tmp_path / "images.csv")).format == "labels csv"


@pytest.mark.parametrize(
    "line, reason",
    [
        ("a.mp4,run,2,1", "line 3: the end, 1, is not after the start, 2"),
        ("a.mp4,run,x,", "line 3: start 'x' is not a number of seconds"),
        ("a.mp4,run,-1,", "line 3: start '-1' is not a number of seconds from 0 on"),
        ("a.mp4,,0,1", "line 3: the label is empty"),
        (",run,0,1", "line 3: the file is empty"),
        ("a.mp4,run,0", "line 3: it has 3 values, but the header names 4 columns"),
    ],
)
def test_a_broken_table_is_refused_with_the_line(tmp_path, line, reason):
    with pytest.raises(RetinueError, match=reason):
        read(write_csv(tmp_path, f"file,label,start,end\nb.mp4,jump,0,1\n{line}\n"))


def test_a_table_that_puts_a_clip_into_two_splits_gets_a_warning(tmp_path):
    lines = "a.mp4,run,0,1,train\na.mp4,run,0,1,test\nb.mp4,jump,0,1,\n"
    dataset = read(write_csv(tmp_path, "file,label,start,end,split\n" + lines))
    finding = next(finding for finding in dataset.findings if finding.kind == "in two splits")
    assert finding.severity == "warning" and finding.item == "line 3"
    assert finding.reason == "line 3 puts it into test, line 2 into train"
    assert list(dataset.splits) == ["train", ""]


def test_a_table_of_missing_videos_is_refused(tmp_path):
    (tmp_path / "clips.csv").write_text("file,label,start,end\nno.mp4,run,0,1\n")
    with pytest.raises(RetinueError, match="none of its 1 files exists"):
        read(str(tmp_path / "clips.csv"))


class RetinueClips(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Three clips of two classes."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "video": tfds.features.Video((None, 20, 30, 3)),
            "label": tfds.features.ClassLabel(names=["x", "y"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {"train": self._generate_examples([("x", 3), ("y", 4)]), "test": self._generate_examples([("y", 2)])}

    def _generate_examples(self, records):
        for number, (label, frames) in enumerate(records):
            yield (
                number,
                {"video": [np.full((20, 30, 3), 10 * frame, np.uint8) for frame in range(frames)], "label": label},
            )


def test_clips_of_tfds_become_folders_of_frames(tmp_path, monkeypatch, logged):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    builder = RetinueClips(data_dir=str(tmp_path / "tfds"))
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    logged.clear()
    dataset = read("tfds:retinue_clips")
    (line,) = logged.messages
    assert (
        dataset.task == "video"
        and dataset.classes == ("x", "y")
        and dataset.splits.tolist() == ["train", "train", "test"]
    )
    assert dataset.columns["label"].tolist() == [0, 1, 1] and "3 records" in line
    with Clip(dataset.files[1]) as clip:
        assert clip.frame_count == 4 and clip.skip() and clip.skip()
        assert (clip.read() == 20).all()
    logged.clear()
    assert read("tfds:retinue_clips", "video").fingerprint == dataset.fingerprint
    assert logged.messages == []


def test_folders_of_images_are_not_read_as_clips(tmp_path):
    write_video(tmp_path / "clips" / "a" / "1.avi", moving_frames(0, 1, count=2))
    for label in "ab":
        folder = tmp_path / "images" / label
        folder.mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(folder / "1.png")
    assert (
        understand(str(tmp_path / "images")).format == "class folders"
        and understand(str(tmp_path / "clips")).format == "clip folders"
    )

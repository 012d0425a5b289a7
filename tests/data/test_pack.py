"""Packs: every task's data comes back as it was, others can read it, and what breaks is told or mended."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.data import packed
from retinue.data.decoding.clip_file import count_frames, read_frames
from retinue.data.decoding.decode import decode_image, encoded_bytes, read_encoded
from retinue.data.decoding.mask_file import read_mask
from retinue.data.pack_verify import verify_pack
from retinue.data.pack_write import write_pack
from retinue.data.readers.read import detect, read, tasks_of
from retinue.data.storage.content import clip_id
from retinue.pipeline import pack as packing
from retinue.pipeline.inputs.prepare import config_for, inspect, prepare
from retinue.pipeline.inputs.sources import find_files
from retinue.tests.helpers.box_files import coco, photo
from retinue.tests.helpers.clips import moving, write_video
from retinue.tests.helpers.mask_images import halves, make_mask, make_photo
from retinue.tests.helpers.tiny_training import final_state, make_fitting, make_photos

CONFIG = ["data.on_invalid=skip", "data.val_fraction=0.3"]


def quiet(line):
    pass


def make_classes(folder, each=5):
    for label in ("cat", "dog"):
        for number in range(each):
            photo(folder / label / "deep" / f"{number}.jpg", orientation=6 if number == 1 else 1)
    photo(folder / "cat" / "ä.png")
    (folder / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return str(folder)


def make_boxes(folder):
    for number in range(6):
        photo(folder / "images" / f"{number}.jpg", orientation=6 if number == 2 else 1)
    images = [(number, f"{number}.jpg") for number in range(6)]
    boxes = [(9, 0, 1, [3, 4, 20, 30]), (4, 0, 7, [1, 1, 9, 9]), (5, 2, 1, [5, 5, 30, 30], {"iscrowd": 1})]
    boxes += [(6, 4, 7, [90, 70, 30, 30]), (7, 4, 7, [0, 0, 0, 10])]
    return str(coco(folder / "boxes.json", images, boxes))


def make_masks(folder):
    for number in range(5):
        make_photo(folder / "images" / f"{number}.png", seed=number)
        make_mask(folder / "masks" / f"{number}.png", halves(right=1 + number % 2))
    (folder / "classes.txt").write_text("sky\ncat\ndog\n")
    return str(folder)


def make_videos(folder):
    for label, step in (("left", -2), ("right", 2)):
        for number in range(2):
            write_video(folder / "clips" / label / f"{number}.avi", moving(number, step))
    for number, frame in enumerate(moving(9, 2, count=3)):
        path = folder / "clips" / "frames" / f"{number + 9}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(frame).save(path)
    lines = ["file,label,start,end,group", "clips/left/0.avi,left,,,a", "clips/left/1.avi,left,0.0,0.4,"]
    lines += ["clips/left/1.avi,right,0.4,0.8,", "clips/right/0.avi,right,,,b", "clips/right/1.avi,right,,,c"]
    lines += ["clips/frames,left,,,d"]
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "clips.csv")


MAKERS = {
    "classification": make_classes,
    "detection": make_boxes,
    "segmentation": make_masks,
    "video": make_videos,
}


def pack(source, out, task="auto", **options):
    config = config_for(source, None if task == "auto" else task, settings=CONFIG)
    return packing.pack(source, config, str(out), task=task, say=options.pop("say", quiet))


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """{task: (the loose data, its pack)}."""
    made = {}
    for task, make in MAKERS.items():
        folder = tmp_path_factory.mktemp(task)
        made[task] = make(folder / "loose"), str(folder / "packed")
        pack(*made[task], task)
    return made


def prepared(source, task):
    return prepare(source, load_config(settings=[*CONFIG, f"task={task}"]), say=quiet)


def flat(column):
    return (column.values.tolist(), column.offsets.tolist()) if hasattr(column, "offsets") else column.tolist()


@pytest.mark.parametrize("task", MAKERS)
def test_a_pack_is_the_data_that_was_packed(packs, task):
    source, folder = packs[task]
    assert detect(folder) == "pack" and tasks_of(folder) == (task,)
    (loose, _), (held, report) = prepared(source, task), prepared(folder, task)
    assert held.fingerprint == loose.fingerprint and held.splits.tolist() == loose.splits.tolist()
    assert held.classes == loose.classes and held.class_ids == loose.class_ids and held.format == loose.format
    assert (held.groups is None) == (loose.groups is None)
    assert list(held.columns) == list(loose.columns) and len(held) == len(loose) > 4
    for name, column in loose.columns.items():
        if name != "mask":
            assert flat(held.columns[name]) == flat(column), name
            assert getattr(held.columns[name], "dtype", None) == getattr(column, "dtype", None)
    inner = [Path(name).as_posix().partition(packed.MARK)[2] for name in held.files]
    assert all(name.endswith(tail) for name, tail in zip(loose.files, inner, strict=True))
    assert not report.bad_rows.size
    for row in range(len(loose)):
        if task == "video":
            assert_same_clip(loose.files[row], held.files[row])
            continue
        assert encoded_bytes(held.files[row]) == encoded_bytes(loose.files[row])
        in_graph = decode_image(read_encoded(tf.constant(os.fsencode(held.files[row])))).numpy()
        assert (in_graph == decode_image(read_encoded(tf.constant(os.fsencode(loose.files[row]))))).numpy().all()
        if task == "segmentation":
            masks = (read_mask(data.columns["mask"][row], data.columns["values"][row], 3) for data in (loose, held))
            assert (next(masks) == next(masks)).all()


def assert_same_clip(loose, held):
    assert clip_id(held) == clip_id(loose) and count_frames(held) == count_frames(loose) > 0
    (mine, _), (theirs, _) = (read_frames(path, [0, 1, 2]) for path in (held, loose))
    assert mine.keys() == theirs.keys() == {0, 1, 2}
    assert all((mine[number] == theirs[number]).all() for number in mine)


def test_annotations_of_detection_survive_the_check_of_the_pack(packs):
    """A second look must not turn boxes again, and what can't be used is told again."""
    source, folder = packs["detection"]
    config = load_config(settings=[*CONFIG, "task=detection"])
    kinds = [sorted(found.kind for found in inspect(name, config, say=quiet).findings) for name in (source, folder)]
    assert kinds[0] == kinds[1] and "box without size" in kinds[0]


def test_what_can_not_be_used_is_left_out_and_counted(packs, tmp_path):
    said = []
    assert pack(packs["classification"][0], tmp_path / "again", say=said.append) == 1
    assert "broken.jpg" in said[0] and said[-1] == f"next:    retinue train {tmp_path / 'again'}"
    assert "packed   11 photos into 1 shards" in said[-2]
    assert len(read(str(tmp_path / "again"))) == 11


def test_others_read_it_with_plain_tensorflow(packs):
    loose = {os.path.basename(name): name for name in read(packs["detection"][0]).files}
    kinds = {
        "file": tf.io.FixedLenFeature([], tf.string),
        "encoded": tf.io.FixedLenFeature([], tf.string),
        "boxes": tf.io.VarLenFeature(tf.float32),
        "class": tf.io.VarLenFeature(tf.string),
    }
    shards = sorted(str(path) for path in Path(packs["detection"][1]).glob("*.tfrecord"))
    found = [tf.io.parse_single_example(record, kinds) for record in tf.data.TFRecordDataset(shards)]
    assert [example["file"].numpy() for example in found] == [f"{number}.jpg".encode() for number in range(6)]
    for example in found:
        name = example["file"].numpy().decode()
        assert example["encoded"].numpy() == Path(loose[name]).read_bytes()
    first = found[0]
    assert tf.sparse.to_dense(first["boxes"]).numpy().tolist() == [3, 4, 23, 34, 1, 1, 10, 10]
    assert tf.sparse.to_dense(first["class"]).numpy().tolist() == [b"cat", b"dog"]


def test_a_frame_folder_and_a_clip_in_parts_are_one_record_each(packs):
    index = packed.open_pack(packs["video"][1]).index
    assert sum(shard["records"] for shard in index.shards) == 5 and len(index.dataset) == 6
    assert list(index.folders.values()) == [[f"frames/{number}.png" for number in (9, 10, 11)]]


def test_from_an_address_it_is_the_same(packs):
    """`file://` goes the way of gs://, through TensorFlow's file systems."""
    folder = packs["classification"][1]
    said = []
    held = read(f"file://{folder}", say=said.append)
    assert "kept in memory once read" in said[0]
    assert held.fingerprint == read(folder).fingerprint
    for _ in range(2):  # the second time from memory
        assert encoded_bytes(held.files[3]) == encoded_bytes(read(folder).files[3])
    assert held.files[0].startswith(f"file://{folder}/pack.index/cat/")
    assert not verify_pack(f"file://{folder}")
    with pytest.raises(UsageError, match="holds no pack"):
        read(f"file://{folder}-elsewhere")
    with pytest.raises(UsageError, match="copy that there"):
        pack(packs["classification"][0], "gs://bucket/photos")


def test_predict_takes_a_pack_for_its_pictures(packs):
    folder = packs["classification"][1]
    assert list(find_files([folder])) == read(folder).files.tolist()
    assert list(find_files([read(folder).files[0]])) == [read(folder).files[0]]


def test_names_that_are_not_in_a_pack(packs):
    folder = packs["classification"][1]
    missing = f"{folder}/pack.index/cat/none.jpg"
    assert not packed.exists(missing) and not packed.is_file(missing) and not packed.is_folder(missing)
    with pytest.raises(FileNotFoundError, match="no such file in the pack"):
        packed.read_bytes(missing)
    assert not packed.exists(f"{folder}-elsewhere/pack.index/cat/0.jpg")


def test_wrong_task_or_fold_is_told(packs):
    with pytest.raises(UsageError, match="was packed for detection, not for segmentation; pack the data again with"):
        read(packs["detection"][1], "segmentation")


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def small(tmp_path, count=8):
    """A `Dataset` of photos, each a shard of its own when `shard_bytes` is 1."""
    for number in range(count):
        photo(tmp_path / "photos" / "ab"[number % 2] / f"{number}.jpg", size=(20, 16))
    return inspect(str(tmp_path / "photos"), load_config(), say=quiet).dataset


def test_goes_on_where_it_was_broken_off_and_mends_what_is_not_whole(tmp_path):
    dataset, said = small(tmp_path), []
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write_pack(dataset, whole, shard_bytes=1)

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(dataset, broken, shard_bytes=1, progress=stop)
    assert not packed.is_pack(broken) and (broken / "packing").is_file()
    (broken / ".shard-00005.tfrecord.part").write_bytes(b"half of it")
    damaged = bytearray((broken / "shard-00001.tfrecord").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (broken / "shard-00001.tfrecord").write_bytes(damaged)
    times = {path.name: path.stat().st_mtime_ns for path in broken.glob("shard*")}
    write_pack(dataset, broken, shard_bytes=1, say=said.append)
    assert said == ["4 of 8 shards are there already, and whole"]
    assert contents(broken) == contents(whole) and len(contents(whole)) == 9
    again = [name for name, time in times.items() if (broken / name).stat().st_mtime_ns != time]
    assert again == ["shard-00001.tfrecord"]


def test_what_was_begun_with_other_labels_is_written_anew(tmp_path):
    dataset = small(tmp_path)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(dataset, tmp_path / "p", shard_bytes=10**9, progress=stop)
    other = dataset.with_splits(["val"] * len(dataset))
    write_pack(other, tmp_path / "p", shard_bytes=10**9)
    write_pack(other, tmp_path / "fresh", shard_bytes=10**9)
    assert contents(tmp_path / "p") == contents(tmp_path / "fresh")


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bytes(tmp_path):
    dataset = small(tmp_path)
    write_pack(dataset, tmp_path / "whole", shard_bytes=1)
    program = (
        "import os, sys, signal; from retinue.data.pack_write import write_pack\n"
        "from retinue.configs.load import load_config; from retinue.pipeline.inputs.prepare import inspect\n"
        "data = inspect(sys.argv[1], load_config(), say=lambda line: None).dataset\n"
        "kill = lambda done, total: done == int(sys.argv[3]) and os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_pack(data, sys.argv[2], shard_bytes=1, progress=kill)\n"
    )
    for after in (2, 3, 0):
        arguments = [str(tmp_path / "photos"), str(tmp_path / "killed"), str(after)]
        ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True)
        assert ended.returncode == (-signal.SIGKILL if after else 0), ended.stderr
        if after:
            with pytest.raises(UsageError, match="this pack is not finished; the same `retinue pack` command"):
                read(tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_the_same_data_again_is_left_and_other_data_refused(packs, tmp_path):
    source, folder = packs["segmentation"]
    before, said = contents(folder), []
    pack(source, folder, say=said.append)
    assert f"{folder}: holds this data already" in said and contents(folder) == before
    other = make_masks(tmp_path / "other")
    make_mask(tmp_path / "other" / "masks" / "3.png", halves(left=1, right=2))
    with pytest.raises(UsageError, match="is a pack of other data"):
        pack(other, folder)
    assert contents(folder) == before


def test_a_folder_with_anything_in_it_is_refused(packs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="exists already; give another --out"):
        pack(packs["classification"][0], tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_file_that_changes_while_it_is_packed_is_named(tmp_path, what):
    dataset = small(tmp_path)
    victim = Path(dataset.files[4])

    def interfere(done, total):
        if done == 2:
            victim.write_bytes(b"other") if what == "changed" else victim.unlink()

    with pytest.raises(RetinueError, match=rf"{victim}: .*(has changed|can't be read any more)"):
        write_pack(dataset, tmp_path / "p", shard_bytes=1, progress=interfere)
    assert not packed.is_pack(tmp_path / "p") and not list((tmp_path / "p").glob(".*"))


def test_a_changed_mask_is_named(tmp_path):
    source = make_masks(tmp_path / "masks")
    checked = inspect(source, load_config(settings=["task=segmentation"]), say=quiet).dataset
    mask = make_mask(tmp_path / "masks" / "masks" / "2.png", halves(left=2))
    ids, dataset = checked.columns["mask_id"], read(source)
    dataset = type(dataset)(**{**vars(dataset), "content_ids": checked.content_ids})
    with pytest.raises(RetinueError, match=rf"{mask}: has changed"):
        write_pack(dataset, tmp_path / "p", mask_ids=ids)


def test_a_full_disk_is_a_line_and_what_is_whole_stays(tmp_path):
    dataset = small(tmp_path)
    for number in range(2):
        photo(tmp_path / "photos" / "a" / f"large{number}.jpg", size=(400, 300))
    dataset = inspect(str(tmp_path / "photos"), load_config(), say=quiet).dataset
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # a disk on which no large file has room
    try:
        with pytest.raises(RetinueError, match="can't be written .*make room, and run the same command again"):
            write_pack(dataset, tmp_path / "p", shard_bytes=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "p").glob(".*")) and not packed.is_pack(tmp_path / "p")
    said = []
    write_pack(dataset, tmp_path / "p", shard_bytes=1, say=said.append)
    assert said == ["4 of 10 shards are there already, and whole"] and not verify_pack(str(tmp_path / "p"))


def test_too_little_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    dataset = small(tmp_path)
    monkeypatch.setattr("retinue.data.pack_write.shutil.disk_usage", lambda path: os.terminal_size((0, 0)) and Full)
    with pytest.raises(RetinueError, match="needs 0 MB more, but 0 MB are free; make room"):
        write_pack(dataset, tmp_path / "p")
    assert not (tmp_path / "p").exists()


class Full:
    free = 10


def damaged_pack(tmp_path):
    """(folder, name of the second shard) with one byte of its first record's picture changed."""
    write_pack(small(tmp_path), tmp_path / "p", shard_bytes=3000)
    index = packed.open_pack(str(tmp_path / "p")).index
    assert [shard["records"] for shard in index.shards][:2] == [3, 3]
    row = index.places.shard.tolist().index(1)
    shard = tmp_path / "p" / index.shards[1]["name"]
    content = bytearray(shard.read_bytes())
    content[int(index.places.offset[row] + index.places.length[row] // 2)] ^= 8
    shard.write_bytes(content)
    return str(tmp_path / "p"), index.places.names[row]


def test_a_damaged_byte_is_told_with_shard_record_and_file(tmp_path):
    folder, name = damaged_pack(tmp_path)
    (found,) = verify_pack(folder)
    assert found.file == f"{folder}/pack.index/{name}"
    assert found.reason == "record 0 of shard-00001.tfrecord: its checksum is wrong"
    said = []
    assert not packing.verify(folder, said.append)
    assert said[0] == f"  {found.file}: {found.reason}"
    assert said[1].startswith(f"{folder}: is not as it was packed; copy")
    report = inspect(folder, load_config(settings=CONFIG), say=quiet)  # what train and check see
    (bad,) = [finding for finding in report.findings if finding.severity == "bad"]
    assert bad.file == found.file and bad.kind == "damaged pack"
    assert bad.reason == "record 0 of shard-00001.tfrecord does not hold what was packed"


def test_a_shard_that_is_cut_off_or_gone_is_told(tmp_path):
    write_pack(small(tmp_path), tmp_path / "p", shard_bytes=3000)
    folder = str(tmp_path / "p")
    names = read(folder).files
    shard = tmp_path / "p" / "shard-00000.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-500])
    found = verify_pack(folder)
    assert [finding.file for finding in found] == [names[2]]
    told = "record 2 of shard-00000.tfrecord: its shard shard-00000.tfrecord ends in it; copy the pack again"
    assert found[0].reason.startswith(told)
    with pytest.raises(OSError, match="its shard shard-00000.tfrecord ends before it; copy the pack again"):
        packed.read_bytes(names[2])
    os.unlink(tmp_path / "p" / "shard-00001.tfrecord")
    gone = next(finding for finding in verify_pack(folder) if finding.file == f"{folder}/shard-00001.tfrecord")
    assert gone.reason == "there is no such shard; 3 records were in it"
    with pytest.raises(tf.errors.OpError, match="its shard shard-00001.tfrecord can't be read"):
        tf.function(read_encoded)(tf.constant(names[4]))


@pytest.mark.slow
def test_training_from_a_pack_is_training_from_loose_files(tmp_path):
    """Two epochs of a tiny net, frozen and not, augmented: every weight and every number of the history."""
    photos = make_photos(tmp_path / "photos", 6)
    pack(str(photos), tmp_path / "packed")
    ends = []
    for source in (photos, tmp_path / "packed"):
        settings = ["train.stages.head.epochs=1", "train.stages.all.epochs=1"]
        fitting = make_fitting(tmp_path / f"run-{source.name}", source, settings)
        fitting.run_all()
        ends.append(final_state(fitting))
    (loose, first), (held, second) = ends
    assert first == second and len(first) == 2
    assert all((one == other).all() for one, other in zip(loose, held, strict=True))


def test_a_damaged_index_is_told(tmp_path):
    write_pack(small(tmp_path), tmp_path / "p")
    index = tmp_path / "p" / "pack.index"
    index.write_bytes(index.read_bytes()[:-30])
    with pytest.raises(RetinueError, match="pack.index: damaged .*; copy the pack again, or pack the data again"):
        read(str(tmp_path / "p"))


def test_equal_data_makes_equal_bytes_wherever_it_lies(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        write_pack(small(tmp_path / place), tmp_path / place / "p", shard_bytes=2000)
    first, second = (contents(tmp_path / place / "p") for place in ("here", "there"))
    assert first.keys() == second.keys()
    seeds_differ = first != second  # box_files' photos are seeded by their path
    assert seeds_differ
    write_pack(small(tmp_path / "here"), tmp_path / "again", shard_bytes=2000)
    assert contents(tmp_path / "again") == first


def test_large_shards_hold_several_and_a_larger_file_is_one_alone(tmp_path):
    dataset = small(tmp_path, count=4)
    photo(tmp_path / "photos" / "a" / "1large.jpg", size=(300, 300))
    dataset = inspect(str(tmp_path / "photos"), load_config(), say=quiet).dataset
    index = write_pack(dataset, tmp_path / "p", shard_bytes=3000)
    for shard in index.shards:
        assert shard["records"] == 1 or shard["bytes"] < 3000 + 400 * shard["records"]
    assert sum(shard["records"] for shard in index.shards) == len(dataset) == 5
    assert np.all(np.diff(index.places.shard) >= 0)

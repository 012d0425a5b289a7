"""The frames and flow fields of snippets: which they are, and that stored flow equals computed flow."""

from pathlib import Path

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.data.decoding.clip_file import read_frames
from retinue.tasks.video import flow, stored_flow
from retinue.tasks.video.snippets import (
    Snippet,
    frame_and_field_indices,
    read_snippets,
    snippet_for,
    snippet_starts,
    snippets_from_frames,
)
from retinue.tests.helpers.clips import moving_frames, write_video


def settings(**changed):
    base = {"video.frame_size": [48, 64], "video.flow_length": 3, "video.flow_bound": 4.0}
    return load_config(options=base | {f"video.{key}": value for key, value in changed.items()}).video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clips") / "clip.avi", moving_frames(0, 2, count=12))


def test_snippets_start_in_segments_of_equal_length():
    snippet = Snippet((0,), 3)  # needs 4 frames: starts 0..8 of 12
    assert snippet_starts(12, snippet, [0.5]).tolist() == [4]
    assert snippet_starts(12, snippet, [0.5, 0.5, 0.5]).tolist() == [1, 4, 7]
    assert snippet_starts(12, snippet, [0.0, 0.0, 0.999]).tolist() == [0, 3, 8]
    assert snippet_starts(2, snippet, [0.0, 0.9]).tolist() == [0, 0]
    assert snippet_starts(300, Snippet((0,), 10), np.full(25, 0.5)).tolist() == [
        int(290 / 25 * (i + 0.5)) for i in range(25)
    ]


def test_short_clips_repeat_the_last_frame_and_field():
    frames, fields = frame_and_field_indices(3, Snippet((0, 15), 4), [1])
    assert frames.tolist() == [[1, 2]] and fields.tolist() == [[1, 1, 1, 1]]
    frames, fields = frame_and_field_indices(1, Snippet((0,), 4), [0, 0])
    assert frames.tolist() == [[0], [0]] and (fields == -1).all()


def test_the_snippet_of_each_architecture():
    assert snippet_for(settings()) == Snippet((0,), 3)
    assert snippet_for(settings(architecture="temporal")) == Snippet((), 3)
    assert snippet_for(settings(architecture="late_fusion")).num_frames == 16
    assert snippet_for(settings(architecture="slow_fusion")) == Snippet(tuple(range(10)), 0)


def test_frames_and_flow_of_a_clip(clip):
    frames, levels = read_snippets(clip, settings(), [0.5, 0.5])
    assert frames.shape == (2, 48, 64, 3) and levels.shape == (2, 48, 64, 6) and levels.dtype == np.uint8
    all_frames, _ = read_frames(clip, range(12))
    np.testing.assert_array_equal(frames[1], all_frames[6])
    second = flow.quantize(flow.compute(flow.to_gray(all_frames[7]), flow.to_gray(all_frames[8])), 4)
    np.testing.assert_array_equal(levels[1, ..., 2:4], second)
    x = flow.dequantize(levels, 4)[..., 0::2]
    assert abs(np.median(x) - 2) < 0.2
    in_memory = snippets_from_frames([all_frames[number] for number in range(12)], settings(), [0.5, 0.5])
    np.testing.assert_array_equal(in_memory[0], frames)
    np.testing.assert_array_equal(in_memory[1], levels)


def test_a_part_of_a_clip_in_seconds(clip):
    all_frames, _ = read_frames(clip, range(12))
    frames, _ = read_snippets(clip, settings(architecture="spatial"), [0.5], start=0.4, end=0.7)
    np.testing.assert_array_equal(frames[0], all_frames[5])  # of frames 4, 5 and 6, at 10 a second
    with pytest.raises(RetinueError, match="no frame in that part that can be decoded"):
        read_snippets(clip, settings(), [0.5], start=5.0)


def test_a_clip_with_fewer_frames_than_its_container_says(clip, tmp_path):
    content = clip.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(content[: int(len(content) * 0.45)])
    frames, levels = read_snippets(cut, settings(), [0.999])
    there = read_frames(cut, range(12))[1]
    assert 0 < there < 12
    np.testing.assert_array_equal(frames[0], read_frames(cut, [max(there - 4, 0)])[0][max(there - 4, 0)])


def test_one_frame_has_no_motion(tmp_path):
    single = write_video(tmp_path / "one.avi", moving_frames(0, 2, count=1))
    _, levels = read_snippets(single, settings(), [0.5, 0.5])
    assert (levels == 128).all()


def test_stored_flow_equals_computed_flow(clip, tmp_path):
    chosen = settings(flow_folder=str(tmp_path))
    computed = read_snippets(clip, chosen, [0.1, 0.9])
    assert stored_flow.write_flow(tmp_path, clip, "dis", 4.0, (48, 64)) == 11
    stored = stored_flow.open_flow(tmp_path, clip, "dis", 4.0, (48, 64))
    assert stored.num_fields == 11
    for one, other in zip(computed, read_snippets(clip, chosen, [0.1, 0.9]), strict=True):
        np.testing.assert_array_equal(one, other)
    for changed in ({"flow_method": "farneback"}, {"flow_bound": 8.0}, {"frame_size": [24, 32]}):
        with pytest.raises(UsageError, match="was made with dis, bound 4 pixels, frames of 48 x 64"):
            read_snippets(clip, settings(flow_folder=str(tmp_path), **changed), [0.5])


def test_an_incomplete_flow_file_is_ignored(clip, tmp_path):
    stored_flow.write_flow(tmp_path, clip, "dis", 4.0, (48, 64))
    file = Path(stored_flow.flow_file(tmp_path, clip))
    file.write_bytes(file.read_bytes()[:-200])
    assert stored_flow.open_flow(tmp_path, clip, "dis", 4.0, (48, 64)) is None


def test_a_moved_clip_keeps_its_flow(clip, tmp_path):
    moved = tmp_path / "elsewhere.avi"
    moved.write_bytes(clip.read_bytes())
    assert stored_flow.flow_file(tmp_path, clip) == stored_flow.flow_file(tmp_path, moved)

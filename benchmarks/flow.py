"""Measure flow fields per second: ours and a single-threaded loop of the same OpenCV call; DIS and TV-L1.

    python benchmarks/flow.py [CLIPS] [--repeats 3]          writes results/flow.csv
    python benchmarks/flow.py --pair FIRST.png SECOND.png    writes results/flow_methods.csv

CLIPS: a folder of videos; by default eight of UCF-101's size, coding and mean length (240 x 320, Xvid, 25 frames a
second, 7.2 seconds), made of the video demo's footage, forth and back. Each way computes the flow of all of them at
256 x 340, one after the other, `repeats` times. A loop: decode, gray, `calc`, 8 bits, one thread
(cv2.setNumThreads(1)), written as our files are. The last two lines read what one training example needs of each clip:
3 segments of 10 fields on demand, against the whole clip's flow. A pair of images is for what the methods give and
cost; TV-L1 where opencv-contrib is installed.
"""

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from retinue.configs.load import load_config
from retinue.configs.logs import enable_console
from retinue.data.decoding.clip_file import Clip
from retinue.pipeline.demos.assets import download_package_data
from retinue.pipeline.demos.virtual_camera import TAKES
from retinue.pipeline.flow import extract_flow
from retinue.pipeline.inputs.sources import find_files
from retinue.tasks.video import flow, stored_flow
from retinue.tasks.video.snippets import read_snippets

SIZE, BOUND = (256, 340), 20.0


def clips_like_ucf101(folder):
    """Eight clips of the demo's footage, as UCF-101 has them."""
    footage = download_package_data("pose2sim", "0.10.49", "Pose2Sim", "8 clips of two takes in a gym", "BSD-3-Clause")
    for file in sorted(path for take in TAKES.values() for path in (footage / take).glob("videos/*.mp4")):
        frames = []
        with Clip(file) as clip:
            while (frame := clip.read((240, 320))) is not None:
                frames.append(frame)
        path = Path(folder) / f"{file.parents[1].name}-{file.stem}.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"XVID"), 25, (320, 240))
        for frame in (frames + frames[-2::-1])[:180]:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
    return folder


def loop(files, out):
    """Fields of all clips, one after the other in one thread."""
    cv2.setNumThreads(1)
    count = sum(stored_flow.write_flow(out, file, "dis", BOUND, SIZE) for file in files)
    cv2.setNumThreads(0)
    return count


def ours(files, out):
    return extract_flow(files, out, bound=BOUND, size=SIZE).fields


def whole_clip(files):
    """What a tool computes that extracts before it samples."""
    count = 0
    for file in files:
        with Clip(file) as clip:
            before = None
            while (frame := clip.read(SIZE)) is not None:
                now = flow.to_gray(frame)
                if before is not None:
                    flow.quantize(flow.compute(before, now), BOUND)
                    count += 1
                before = now
    return count


def sampled(files):
    """Three segments of each clip, computed as they are needed."""
    settings = load_config(options={"video.frame_size": list(SIZE), "video.flow_length": 10}).video
    for file in files:
        read_snippets(file, settings, np.full(3, 0.5))
    return 30 * len(files)


def seconds_of(function, *arguments):
    started = time.perf_counter()
    count = function(*arguments)
    return time.perf_counter() - started, count


def compare(first, second):
    """A row a method: seconds a pair, how far its field is from TV-L1's (or DIS's), how well it undoes the motion."""
    images = [cv2.imread(name) for name in (first, second)]
    grays = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images]
    methods = [method for method in flow.METHODS if method != "tvl1" or hasattr(cv2, "optflow")]
    fields, seconds = {}, {}
    for method in methods:
        flow.compute(*grays, method)
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            fields[method] = flow.compute(*grays, method)
            taken.append(time.perf_counter() - started)
        seconds[method] = statistics.median(taken)
    reference = fields["tvl1"] if "tvl1" in fields else fields["dis"]
    before = np.abs(np.float32(grays[1]) - grays[0]).mean()
    return [
        {
            "method": method,
            "size": "x".join(map(str, grays[0].shape)),
            "seconds": round(seconds[method], 4),
            "mean_motion": round(float(np.hypot(*np.moveaxis(field, -1, 0)).mean()), 3),
            "mean_difference_from_" + ("tvl1" if "tvl1" in fields else "dis"): round(
                float(np.hypot(*np.moveaxis(field - reference, -1, 0)).mean()), 4
            ),
            "gray_levels_apart_before": round(float(before), 3),
            "gray_levels_apart_after": round(
                float(np.abs(np.float32(flow.warp(grays[1], field)) - grays[0]).mean()), 3
            ),
            "mean_error_of_8_bits": round(
                float(np.abs(flow.dequantize(flow.quantize(field, 20), 20) - field).mean()), 4
            ),
        }
        for method, field in fields.items()
    ]


def write(name, rows):
    with open(Path(__file__).parent / "results" / name, "w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="?")
    parser.add_argument("--pair", nargs=2)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    enable_console()
    if chosen.pair:
        write("flow_methods.csv", compare(*chosen.pair))
        return
    made = tempfile.TemporaryDirectory()
    files = list(find_files([chosen.clips or clips_like_ucf101(made.name)], clips=True))
    times = {"loop, one thread": [], "retinue flow": [], "whole clips": [], "3 segments": []}
    fields = {}
    for _ in range(chosen.repeats):
        for name, function in (("loop, one thread", loop), ("retinue flow", ours)):
            with tempfile.TemporaryDirectory() as out:
                seconds, fields[name] = seconds_of(function, files, out)
            times[name].append(seconds)
        cv2.setNumThreads(1)
        for name, function in (("whole clips", whole_clip), ("3 segments", sampled)):
            seconds, fields[name] = seconds_of(function, files)
            times[name].append(seconds)
        cv2.setNumThreads(0)
    rows = [
        {
            "what": name,
            "clips": len(files),
            "fields": fields[name],
            "seconds": round(statistics.median(taken), 2),
            "fields_per_second": round(fields[name] / statistics.median(taken), 1),
            "clips_per_second": round(len(files) / statistics.median(taken), 2),
            "slowest": round(max(taken), 2),
            "fastest": round(min(taken), 2),
        }
        for name, taken in times.items()
    ]
    write("flow.csv", rows)
    print(f"retinue flow / loop: {rows[0]['seconds'] / rows[1]['seconds']:.2f} times as fast")
    print(f"3 segments / whole clips: {rows[2]['seconds'] / rows[3]['seconds']:.2f} times as fast")


if __name__ == "__main__":
    main()

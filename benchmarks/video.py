"""Clips a second from file to JSONL, by OpenVINO and by TensorFlow.

    python benchmarks/video.py RUN CLIPS [--out results/video.csv] [--repeats 3]

RUN: a run folder of a model for video; CLIPS: a folder of videos. Loading the model is not counted.
"""

import argparse
import csv
import statistics
import tempfile
from pathlib import Path

from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import open_model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("clips")
    parser.add_argument("--out", default=Path(__file__).parent / "results" / "video.csv")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    ways = (("tensorflow", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
    times, clips = {way: [] for way in ways}, 0
    for _ in range(chosen.repeats):
        for way in ways:
            with tempfile.TemporaryDirectory() as out:
                done = predict(chosen.run, [chosen.clips], out, runtime=way[0], precision=way[1])
            times[way].append(done.seconds)
            clips = done.images
    config = open_model(chosen.run).config
    rows = [
        {
            "runtime": runtime,
            "precision": precision,
            "backbone": config.model.backbone,
            "input_size": config.model.input_size,
            "snippets": config.video.test_segments,
            "clips": clips,
            "clips_per_second": round(clips / statistics.median(taken), 1),
            "slowest": round(clips / max(taken), 1),
            "fastest": round(clips / min(taken), 1),
        }
        for (runtime, precision), taken in times.items()
    ]
    with open(chosen.out, "w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()

"""Measure the resident memory of `retinue predict` over 50,000 files of each task; it must not grow.

    python benchmarks/memory.py [TASK...] [--count 50000] [--runtime auto]

Few distinct files (500 JPEG images for classification; the 61 drawn records of equal_training.py, and a model trained
on them, for the others) under many names, and small models: what could grow is what the pipeline keeps of each file.
Each task is run in a process of its own, with JSON lines, CSV and, of segmentation, masks. A row every 1,000 files goes
into benchmarks/results/memory.csv, where those of other tasks stay. Ends with 1 when memory grew by more than 5% from
file 2,000 to the last.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
from pathlib import Path

from competitor_process import run_competitor
from equal_training import make_data, train
from predict import make_images, make_run

RESULTS = Path(__file__).parent / "results" / "memory.csv"
TASKS = ("classification", "detection", "segmentation", "video")
EVERY = 1000
FLAT = 1.05


def make_task(task, scratch):
    """(run folder, distinct files) of a task."""
    if task == "classification":
        make_images(scratch / "distinct", 500, 160, 120)
        return make_run(scratch / "run", input_size=32).folder, sorted((scratch / "distinct").iterdir())
    from retinue.pipeline.runs.split_file import read_split_file

    data, out = scratch / "distinct", scratch / "run"
    with open(scratch / "log", "w") as log:
        train(task, "one", "onednn", make_data(task, data), out, log)
    return out, [data / row.file for row in read_split_file(out)]


def work(task, count, runtime):
    """Resident megabytes every 1,000 files, printed as JSON."""
    from retinue.pipeline.prediction.predict import predict

    found = []

    def sample(summary):
        if summary.images % EVERY == 0 and len(found) < summary.images // EVERY:
            with open("/proc/self/statm") as file:
                found.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        run, distinct = make_task(task, scratch)
        (scratch / "files").mkdir()
        for number in range(count):
            file = distinct[number % len(distinct)]
            os.link(file, scratch / "files" / f"{number}{file.suffix}")
        files, out, formats = [scratch / "files"], scratch / "out", ("jsonl", "csv")
        summary = predict(run, files, out, formats=formats, runtime=runtime, progress=sample)
        assert summary.images == count and not summary.failures, summary
    print(json.dumps(found))


def main():
    from retinue.pipeline.runs.run import to_csv

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--runtime", default="auto", choices=("auto", "tensorflow", "openvino"))
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work, options.count, options.runtime)
    rows, grew = [], False
    if RESULTS.is_file():
        with open(RESULTS, newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["task"] not in options.tasks]
    for task in options.tasks:
        command = [
            sys.executable,
            __file__,
            "--work",
            task,
            "--count",
            str(options.count),
            "--runtime",
            options.runtime,
        ]
        found = run_competitor(task, command)
        for number, megabytes in enumerate(found, 1):
            rows.append({"task": task, "files": number * EVERY, "resident_megabytes": round(megabytes, 1)})
        growth = found[-1] / found[min(1, len(found) - 1)]
        grew |= growth > FLAT
        print(f"{task}: {found[-1]:.0f} MB, from file 2,000 to file {options.count:,}: {growth - 1:+.1%}", flush=True)
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    sys.exit(grew)


if __name__ == "__main__":
    main()

"""Kill training at random moments: does it always resume, end with equal results, and leave no partial file?

    python benchmarks/kill_training.py [--workers 1 2] [--kills 20] [--each 5] [--seed 0] [--out FILE]

`retinue launch --max-restarts` trains a small classifier (LeNet-5 with dropout, 61 drawn images, batches of 8, saved
after every step); a worker drawn at random gets kill -9 at a moment drawn between the start of its process and 0.6 of
a whole job's time, `--each` times a job, until `--kills` have been made. The job that ends is compared with one that
nobody killed: every array of its last checkpoint and every number of its metrics but the times, bit for bit with one
worker, to 1e-5 of an array's largest value with several. Then, with several workers, the other faults, once each: a
worker hung (SIGSTOP), SIGTERM to one worker and to all, a full disk. Writes benchmarks/results/kill_training.csv, or
`--out`.
"""

import argparse
import csv
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "kill_training.csv"
EARLY = 0.6  # of a whole job's time; what comes later in it is met by those that go on
TIMES = ("seconds", "images_per_second", "input_wait_fraction")
SETTINGS = [
    "model.backbone=lenet5",
    "model.weights=none",
    "model.input_size=32",
    "train.batch_size=8",
    "train.cached_feature_views=0",
    "train.ema_decay=0.9",
    "train.checkpoint_minutes=0.00001",
    "train.stages={head: {epochs: 5, learning_rate: 0.01, backbone_lr_multiplier: 0.0}, "
    "all: {epochs: 15, learning_rate: 0.001}}",
    "evaluate.bootstrap_samples=0",
]


class Job:
    """A `retinue launch` of so many workers in `folder`/run, on the images in `data`."""

    def __init__(self, folder, data, workers, restarts=0, largest_file=None):
        self.folder, self.out, self.log = folder, folder / "run", folder / "log"
        folder.mkdir(parents=True)
        settings = [part for setting in SETTINGS for part in ("--set", setting)]
        command = ["launch", "--workers", str(workers), "--max-restarts", str(restarts), "--", "train", str(data)]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}

        def limit():
            if largest_file:  # a write beyond it fails halfway, as on a full disk
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "retinue.cli", *command, "--out", str(self.out), *settings],
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=limit,
            )

    @property
    def workers(self):
        """Process ids of the workers that run now, the chief first."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            return []
        return [int(child) for child in children.split()]

    def wait_for_start(self, others=(), seconds=120):
        """The ids of workers that are none of `others`, or [] when the job has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            found = self.workers
            if found and not set(found) & set(others):
                return found
            time.sleep(0.05)
        return []

    def wait_for_checkpoint(self, seconds=120):
        end = time.monotonic() + seconds
        while not any(self.out.glob("last/checkpoint-*.npz")):
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"{self.out}: no checkpoint came\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def end(self, seconds=600):
        """The exit code."""
        try:
            return self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()

    def half_written(self):
        """Temporary files that are left."""
        return [str(path) for path in self.out.rglob(".*") if path.is_file()]


def make_images(folder, count=61):
    """Noisy squares of three colors in class folders."""
    import numpy as np
    from PIL import Image

    drawn = np.random.default_rng(0)
    for number in range(count):
        name, color = (("blue", (80, 80, 150)), ("red", (150, 80, 80)), ("green", (80, 150, 80)))[number % 3]
        pixels = np.clip(drawn.normal(color, 60, (36, 30 + number % 7, 3)), 0, 255).astype(np.uint8)
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def state(job):
    """(arrays of the last checkpoint, rows of the metrics without their times)."""
    import numpy as np

    last = np.load(max(job.out.glob("last/checkpoint-*.npz")))
    with open(job.out / "metrics.csv") as file:
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]
    return {name: last[name] for name in last.files if name != "progress"}, rows


def difference(found, expected):
    """Return the largest difference relative to the largest value of an array; 0.0: bit-identical with the metrics."""
    import numpy as np

    (arrays, rows), (others, other_rows) = found, expected
    if set(arrays) != set(others) or len(rows) != len(other_rows):
        return float("inf")
    worst = 0.0
    for name, value in arrays.items():
        if value.dtype.kind in "ui":
            worst = worst if (value == others[name]).all() else float("inf")
        else:
            scale = max(np.abs(np.float64(others[name])).max(initial=0), 1e-12)
            worst = max(worst, float(np.abs(np.float64(value) - others[name]).max(initial=0) / scale))
    return max(worst, 1e-300) if worst == 0.0 and rows != other_rows else worst


def kill_jobs(folder, data, workers, kills, each, seed):
    """Rows of the table, one a job, until `kills` were made."""
    began = time.monotonic()
    unbroken = Job(folder / f"{workers}-unbroken", data, workers)
    if unbroken.end() not in (0, 3):
        raise SystemExit(unbroken.log.read_text()[-3000:])
    whole, expected = time.monotonic() - began, state(unbroken)
    print(f"{workers} workers: a whole job takes {whole:.0f} s")
    drawn, rows, made = random.Random(seed), [], 0
    while made < kills:
        job, victims, done, slowest = Job(folder / f"{workers}-{len(rows)}", data, workers, each), [], 0, 0.0
        while done < min(each, kills - made):
            victims = job.wait_for_start(victims)
            moment = time.monotonic() + drawn.uniform(0.0, EARLY * whole)
            while time.monotonic() < moment and job.process.poll() is None:
                time.sleep(0.02)
            if job.process.poll() is not None or not victims:
                break
            try:
                os.kill(drawn.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed = time.monotonic()
            while set(job.workers) & set(victims):
                time.sleep(0.05)
            slowest, done = max(slowest, time.monotonic() - killed), done + 1
        code = job.end()
        made += done
        rows.append(
            {
                "fault": f"kill -9, {done} times",
                "workers": workers,
                "exit_code": code,
                "seconds_until_all_ended": f"{slowest:.1f}",
                "largest_difference": f"{difference(state(job), expected):.1e}" if code in (0, 3) else "",
                "half_written": len(job.half_written()),
            }
        )
        print(rows[-1])
    return rows


def other_faults(folder, data, workers):
    """Rows of the table for the other faults."""
    rows = []
    for fault in ("hung", "SIGTERM to one", "SIGTERM to all", "full disk"):
        full = fault == "full disk"
        job = Job(folder / fault.replace(" ", "-"), data, workers, largest_file=100_000 if full else None)
        if not full:
            job.wait_for_checkpoint()
            victim = job.workers[-1]
            if fault == "hung":
                os.kill(victim, signal.SIGSTOP)
            else:
                os.kill(victim if fault == "SIGTERM to one" else job.process.pid, signal.SIGTERM)
        began = time.monotonic()
        row = {"fault": fault, "workers": workers, "exit_code": job.end()}
        row |= {"seconds_until_all_ended": "" if full else f"{time.monotonic() - began:.1f}", "largest_difference": ""}
        rows.append(row | {"half_written": len(job.half_written())})
        print(rows[-1])
        print("".join(f"    {line}\n" for line in job.log.read_text().splitlines()[-4:]))
    return rows


def main():
    from retinue.pipeline.runs.run import to_csv

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--each", type=int, default=5, help="kills a job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=RESULTS)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        data = make_images(folder / "images")
        for workers in options.workers:
            if options.kills:
                rows += kill_jobs(folder, data, workers, options.kills, options.each, options.seed)
            if workers > 1:
                rows += other_faults(folder, data, workers)
    Path(options.out).write_text(to_csv(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Kill prediction at random moments: is every file predicted once, with the results of an unbroken run?

    python benchmarks/kill_predict.py [--engines local ray] [--tasks NAME...] [--kills 8] [--seed 0] [--out FILE]

For each task a tiny model learns from the 61 drawn records of equal_training.py and predicts 400 files (122 clips):
these records under other names, and one that is no image, with all that `predict` can write: CSV, COCO, masks,
overlays, crops. It gets kill -9 once so many lines are there as are drawn, and the same command is given again, until
`--kills` have been made and one comes to its end. With Ray every second kill is of a worker, which the command has to
get over by itself, and the others are of the command. What is left is compared with what an unbroken run on the local
engine left: files that are answered once, or more often, written files that are not the same bytes, and half-written
ones. Writes benchmarks/results/kill_predict.csv, or `--out`.
"""

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retinue.benchmarks.equal_training import COMMON, SETTINGS, make_data

RESULTS = Path(__file__).parent / "results" / "kill_predict.csv"
TASKS = ("classification", "detection", "segmentation", "video")
FILES = {"video": 122}
ENDINGS = (".png", ".jpg", ".avi")
LIMIT = 600.0  # seconds until something must have happened
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
NOT_COMPARED = ("predict.json", ".lock")  # times; nothing


def retinue(*arguments, log):
    """A process of a command."""
    command = [sys.executable, "-m", "retinue.cli", *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)


class Job:
    """The run of a task in `folder`, and the files it predicts."""

    def __init__(self, task, folder, count=None, epochs=2):
        self.task, self.folder, self.run = task, folder, folder / "run"
        folder.mkdir(parents=True)
        data = make_data(task, folder / "data")
        stages = f"train.stages={{all: {{epochs: {epochs}, learning_rate: 0.003, backbone_lr_multiplier: 1.0}}}}"
        settings = [part for one in [*COMMON, *SETTINGS[task], stages] for part in ("--set", one)]
        with open(folder / "train.log", "w") as log:
            code = retinue("train", data, "--task", task, "--out", self.run, *settings, log=log).wait(LIMIT)
        if code not in (0, 3):
            raise SystemExit((folder / "train.log").read_text()[-3000:])
        found = [path for path in sorted((folder / "data").rglob("*")) if path.suffix in ENDINGS]
        found = [path for path in found if "masks" not in path.parts]
        self.files = []
        for number in range(count or FILES.get(task, 400)):
            path = folder / "files" / f"{number}{found[number % len(found)].suffix}"
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(found[number % len(found)])
            self.files.append(path)
        self.files[7].unlink()
        self.files[7].write_text("words")

    def start(self, out, engine="local", *options):
        formats = {"detection": "jsonl,csv,coco"}.get(self.task, "jsonl,csv")
        drawn = {"video": (), "detection": ("--overlay", "--crops")}.get(self.task, ("--overlay",))
        command = ["predict", self.run, self.files[0].parent, "--out", out, "--format", formats, *drawn]
        with open(self.folder / f"{out.name}.log", "a") as log:
            return retinue(*command, "--engine", engine, *options, log=log)

    def end(self, out, process):
        if process.wait(LIMIT) != 3:  # a file is bad
            raise SystemExit((self.folder / f"{out.name}.log").read_text()[-3000:])


def lines(out):
    path = out / "predictions.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def workers_of(process):
    """Ids of the Ray workers that a command has started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        parents[int(path.parent.name)] = int(rest.split()[1]), name
    found = [pid for pid, (_, name) in parents.items() if name.startswith("ray::Worker")]
    return [pid for pid in found if process.pid in _above(pid, parents)]


def _above(pid, parents):
    while pid in parents:
        pid = parents[pid][0]
        yield pid


def kill_until_done(job, out, engine, kills, drawn, options=()):
    """(how often the command was killed, and how often a worker), until it came to its end."""
    counts, process = collections.Counter(), job.start(out, engine, *options)
    for number in range(kills):
        whole, now = len(job.files) - 1, lines(out)
        target = now + drawn.randint(1, max(1, 2 * (whole - now) // (kills - number + 1)))
        until = time.monotonic() + LIMIT
        while lines(out) < target and process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(drawn.uniform(0, 0.02))
        if process.poll() is not None:
            break
        victims = workers_of(process) if engine == "ray" and number % 2 == 0 else []
        if victims:
            os.kill(drawn.choice(victims), signal.SIGKILL)
            counts["workers"] += 1
        else:
            process.kill()
            process.wait()
            counts["commands"] += 1
            process = job.start(out, engine, *options)
    job.end(out, process)
    return counts["commands"], counts["workers"]


def compare(job, out, unbroken):
    """The columns of the table that tell how `out` differs."""
    answers = collections.Counter()
    for name in ("predictions.jsonl", "failures.jsonl"):
        with open(out / name) as opened:
            answers.update(json.loads(line)["file"] for line in opened)
    left, expected = (
        {
            path.relative_to(folder): path
            for path in folder.rglob("*")
            if path.is_file() and path.name not in NOT_COMPARED
        }
        for folder in (out, unbroken)
    )
    hidden = [path for path in left if path.name.startswith(".")]
    differ = [
        name
        for name in {*left, *expected} - {*hidden}
        if not (name in left and name in expected and left[name].read_bytes() == expected[name].read_bytes())
    ]
    return {
        "files": len(job.files),
        "answered_once": sum(answers[str(file)] == 1 for file in job.files),
        "answered_more": sum(count > 1 for count in answers.values()),
        "written_files": len(expected),
        "written_differ": len(differ),
        "half_written": len(hidden),
    }, sorted(map(str, differ))


def main():
    from retinue.pipeline.runs.run import to_csv

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["local", "ray"])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=RESULTS)
    options = parser.parse_args()
    rows, drawn = [], random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            job = Job(task, Path(folder) / task)
            unbroken = job.folder / "unbroken"
            job.end(unbroken, job.start(unbroken))
            for engine in options.engines:
                out = job.folder / engine
                commands, workers = kill_until_done(job, out, engine, options.kills, drawn)
                columns, differ = compare(job, out, unbroken)
                rows.append({"engine": engine, "task": task, "commands_killed": commands, "workers_killed": workers})
                rows[-1] |= columns
                print(rows[-1], *differ[:5], flush=True)
    Path(options.out).write_text(to_csv(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Compare the same training by one process, by two replicas in one, and by two and three workers.

    python benchmarks/equal_training.py [--tasks NAME...] [--ways NAME...] [--kernels eigen onednn] [--out FILE]

Each task learns from 61 drawn records (a prime, so that nothing divides), less the validation records, in batches of 8,
shared 4 + 4 by two and 2 + 3 + 3 by three; tiny models, random weights, the tasks' own augmentation; SGD. What is
compared
with one process: the largest difference of a loss of `metrics.csv`; of a weight, as a fraction of the largest weight of
its array (the last checkpoint's); and whether the score of each epoch and the last one, over all 61 records, are the
same number (of what is made of probabilities, log loss, calibration error, best threshold, the difference instead).
Batch norms are synchronized in all of them (Keras computes those by another formula), and frozen in detection but for
"detection_update". All of it by TensorFlow's own kernels ("eigen", TF_ENABLE_ONEDNN_OPTS=0) and by oneDNN's, which
training takes by default: those sum a gradient in longer chains, whose rounding is some four times as large. What that
alone does is seen with `--ways parts`: one process, each batch in two parts whose gradients are added (for models
without dropout, which draws another mask then, and without batch norms that update).
Writes benchmarks/results/equal_training.csv, or `--out`. An hour.
"""

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "equal_training.csv"
COUNT = 61
WAYS = ("one", "parts", "mirrored", "workers2", "workers3")
KERNELS = {"eigen": "0", "onednn": "1"}  # TF_ENABLE_ONEDNN_OPTS
COMMON = [
    "model.weights=none",
    "train.batch_size=8",
    "train.optimizer=sgd",
    "train.sync_batch_norm=true",
    "train.cached_feature_views=0",
    "evaluate.bootstrap_samples=0",
    "evaluate.batch_size=8",
]
SETTINGS = {
    "classification": [
        "model.backbone=resnet18",
        "model.input_size=32",
        "train.stages={head: {epochs: 1, learning_rate: 0.01, backbone_lr_multiplier: 0.0}, "
        "all: {epochs: 2, learning_rate: 0.01}}",
    ],
    "detection": [
        "model.backbone=resnet18",
        "model.input_size=64",
        "detection.max_size=128",
        "detection.anchor_sizes=[16, 32, 64, 64, 64]",
        "detection.fpn_channels=16",
        "detection.box_head_dim=32",
        "detection.box_batch_size_per_image=32",
        "detection.rpn_batch_size_per_image=64",
        "detection.rpn_pre_nms_top_n_train=100",
        "detection.rpn_post_nms_top_n_train=100",
        "detection.rpn_pre_nms_top_n_test=50",
        "detection.rpn_post_nms_top_n_test=50",
        "train.stages={all: {epochs: 2, learning_rate: 0.003, backbone_lr_multiplier: 1.0}}",
    ],
    "segmentation": [
        "model.backbone=alexnet",
        "segmentation.convert_fc_layers=false",
        "model.input_size=64",
        "train.stages={all: {epochs: 2, learning_rate: 0.003, backbone_lr_multiplier: 1.0}}",
    ],
    "video": [
        "model.backbone=lenet5",
        "model.input_size=32",
        "video.frame_size=[36, 48]",
        "video.flow_length=3",
        "video.flow_bound=4.0",
        "video.test_segments=2",
        "train.stages={all: {epochs: 2, learning_rate: 0.003, backbone_lr_multiplier: 1.0}}",
    ],
}
SETTINGS["detection_update"] = [*SETTINGS["detection"], "train.batch_norm=update"]
MIRRORED = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from retinue.cli import main
sys.argv[0] = "retinue"
main()
"""


def make_data(task, folder):
    """COUNT drawn records of a task. Gives what `retinue train` is given."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    if task == "classification":
        for number in range(COUNT):
            name, rgb = (("blue", (80, 80, 150)), ("red", (150, 80, 80)), ("green", (80, 150, 80)))[number % 3]
            pixels = np.clip(random.normal(rgb, 60, (36, 30 + number % 7, 3)), 0, 255).astype(np.uint8)
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    elif task.startswith("detection"):
        folder.mkdir()
        images, boxes = [], []
        for number in range(COUNT):
            width, height = ((96, 64), (64, 80), (64, 64), (100, 64))[number % 4]
            pixels = random.normal(90, 5, (height, width, 3))
            for kind in range(number % 3):  # none, one or two
                sides = random.integers(22, 34, 2)
                x, y = random.integers(0, [width, height] - sides)
                pixels[y : y + sides[1], x : x + sides[0]] = ((230, 40, 40), (40, 60, 230))[kind]
                box = {"id": len(boxes) + 1, "image_id": number, "category_id": kind + 1, "iscrowd": 0}
                boxes.append(box | {"bbox": [int(x), int(y), *sides.tolist()], "area": int(sides.prod())})
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        classes = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
        content = {"images": images, "annotations": boxes, "categories": classes}
        (folder / "boxes.json").write_text(json.dumps(content))
    elif task == "segmentation":
        from retinue.tests.helpers import disks

        disks.make_folder(folder, COUNT)
    else:
        from retinue.tests.helpers import clips

        for number in range(COUNT):
            rgb, step = ((60, 90, 190), (190, 90, 60))[number % 2], (-2, 2)[number // 2 % 2]
            name = f"{'blue red'.split()[number % 2]} {step}"
            clips.write_video(folder / name / f"{number}.avi", clips.moving_frames(number, step, color=rgb))
    return str(folder)


def train(task, way, kernels, data, out, log):
    """One way of training, in processes of its own, and the score over all records. Gives the `scores.json`."""
    settings = [part for setting in COMMON + SETTINGS[task] for part in ("--set", setting)]
    command = ["train", data, "--task", task.removesuffix("_update"), "--out", str(out), *settings]
    program = [sys.executable, "-m", "retinue.cli"]
    if way == "mirrored":
        program, command = [sys.executable, "-c", MIRRORED], [*command, "--set", "train.strategy=mirrored"]
    elif way == "parts":
        command += ["--set", "train.gradient_accumulation_steps=2"]
    elif way.startswith("workers"):
        command = ["launch", "--workers", way.removeprefix("workers"), "--", *command]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"TF_ENABLE_ONEDNN_OPTS": KERNELS[kernels]}
    done = subprocess.run([*program, *command], env=environment, stdout=log, stderr=log)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{task} {way}: ended with {done.returncode}; see {log.name}")
    command = [sys.executable, "-m", "retinue.cli", "evaluate", str(out), data, "--split", "all", "--json"]
    scored = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, check=True)
    return json.loads(scored.stdout)


def found(out, scores):
    """(losses, scores an epoch and at the end, weights) of a run."""
    import numpy as np

    rows = list(csv.DictReader(open(out / "metrics.csv")))
    named = [name for name in rows[0] if not name.startswith("val_")]
    ignored = {"epoch", "stage", "learning_rate", "seconds", "images_per_second", "input_wait_fraction", "best"}
    losses = [float(row[name]) for row in rows for name in named if name not in ignored and row[name]]
    kept = [name for name in rows[0] if name.startswith("val_") and "loss" not in name]
    last = np.load(max(out.glob("last/checkpoint-*.npz")))
    weights = {name: last[name] for name in last.files if name.startswith("model/")}
    return losses, [row[name] for row in rows for name in kept], scores, weights


def compare(first, second):
    """The row of a way beside one process."""
    import numpy as np

    weights = [
        np.abs(np.float64(value) - second[3][name]).max() / max(np.abs(np.float64(value)).max(), 1e-12)
        for name, value in first[3].items()
        if value.dtype.kind == "f"
    ]
    numbers, others = first[2].get("metrics", first[2]), second[2].get("metrics", second[2])
    continuous = [name for name in numbers if "loss" in name or name in ("calibration_error", "best_threshold")]
    differ = [name for name, value in numbers.items() if others[name] != value and name not in continuous]
    return {
        "largest_loss_difference": f"{np.abs(np.subtract(first[0], second[0])).max():.1e}",
        "largest_weight_difference": f"{max(weights):.1e}",
        "scores_each_epoch": "same" if first[1] == second[1] else "differ",
        "largest_probability_difference": f"{max([abs(numbers[n] - others[n]) for n in continuous], default=0):.1e}",
        "scores_of_61": "same" if not differ else f"differ: {' '.join(differ)}",
    }


def main():
    from retinue.pipeline.runs.run import to_csv

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--ways", nargs="+", choices=WAYS[1:], default=WAYS[2:])
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--out", default=RESULTS)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "a") as log:
        folder = Path(folder)
        data = {task: make_data(task, folder / f"{task}-data") for task in options.tasks}
        for kernels, task in itertools.product(options.kernels, options.tasks):
            runs = {}
            for way in ("one", *options.ways):
                out = folder / f"{task}-{way}-{kernels}"
                try:
                    runs[way] = found(out, train(task, way, kernels, data[task], out, log))
                except SystemExit:
                    print((folder / "log").read_text()[-4000:])
                    raise
                if way != "one":
                    rows.append({"task": task, "way": way, "kernels": kernels} | compare(runs["one"], runs[way]))
                    print(rows[-1], flush=True)
    Path(options.out).write_text(to_csv(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Compare Faster R-CNN on ResNet-50 with a pyramid with torchvision's, with the same weights, on 480 x 640 images.

    python benchmarks/detection.py --torch PYTHON [--count 24] [--repeats 5]

PYTHON is an interpreter that has torch and torchvision; ours has neither. Each competitor runs in a process of its own,
one after the other, and all of them again `--repeats` times; the medians go into benchmarks/results/detection.csv.
Prediction counts from JPEG files to lines on disk, the model loaded and warm; training counts steps of two images,
the first three layers of weights frozen as torchvision has it by default. The weights are random, but the same: 1,000
proposals a image go through the head on both sides. Memory is the largest resident size of the process.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from competitor_process import run_competitor

HEIGHT, WIDTH, CLASSES = 480, 640, 91
STEPS, BATCH = 5, 2
WARM = 2  # images before the clock starts
PREDICTING = ("torchvision", "tensorflow f32", "openvino f32", "openvino bf16")
TRAINING = ("torchvision train", "retinue train")
RESULTS = Path(__file__).parent / "results" / "detection.csv"


def torch_model(weights):
    import torch
    from torchvision.models.detection import fasterrcnn_resnet50_fpn

    torch.manual_seed(0)
    model = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, min_size=HEIGHT, max_size=WIDTH)
    if weights.exists():
        model.load_state_dict(torch.load(weights))
    else:
        torch.save(model.state_dict(), weights)
    return model


def torch_predict(folder):
    import numpy as np
    import torch
    from PIL import Image

    model = torch_model(folder / "weights.pth").eval()
    files = sorted((folder / "images").glob("*.jpg"))

    def detect(file):
        pixels = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1).float() / 255
        found = model([pixels])[0]
        return {"file": str(file), "detections": [found[name].tolist() for name in ("boxes", "scores", "labels")]}

    with torch.inference_mode(), open(folder / "torch.jsonl", "w") as lines:
        detect(files[0])
        started = time.perf_counter()
        for file in files:
            lines.write(json.dumps(detect(file)) + "\n")
        return len(files) / (time.perf_counter() - started)


def torch_train(folder):
    import torch

    model = torch_model(folder / "weights.pth").train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=1e-5, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand((3, HEIGHT, WIDTH), generator=generator) for _ in range(BATCH)]
    boxes = torch.tensor([[40.0, 40, 200, 220], [300, 100, 420, 300], [10, 300, 90, 420]])
    targets = [{"boxes": boxes, "labels": torch.tensor([1, 2, 3])} for _ in images]

    def step():
        optimizer.zero_grad()
        sum(model(images, targets).values()).backward()
        optimizer.step()

    return BATCH / _seconds_a_step(step)


def make_run(folder):
    """A run folder of ours with torchvision's weights."""
    from retinue import tasks
    from retinue.pipeline.runs.run import Run

    task = tasks.create(_config(folder), [f"class {number}" for number in range(1, CLASSES)])
    run = Run.create(folder / "run", task, "benchmarks/detection.py")
    task.build().save_weights(run.folder / "best.weights.h5")


def _config(folder):
    from retinue.configs.load import load_config

    settings = [f"model.input_size={HEIGHT}", f"detection.max_size={WIDTH}"]
    return load_config("faster-rcnn-fpn-coco", [*settings, f"model.weights={folder / 'weights.pth'}"])


def retinue_predict(folder, runtime, precision):
    from retinue.pipeline.prediction.predict import predict

    done = []
    with tempfile.TemporaryDirectory() as out:
        predict(
            folder / "run",
            [folder / "images"],
            out,
            runtime=runtime,
            precision=precision,
            progress=lambda summary: done.append(time.perf_counter()),
        )
    return (len(done) - WARM) / (done[-1] - done[WARM - 1])


def retinue_train(folder):
    import numpy as np
    import tensorflow as tf

    from retinue import tasks
    from retinue.pipeline.training.freeze import apply_stage
    from retinue.pipeline.training.optimizer import make_optimizer

    config = _config(folder)
    task = tasks.create(config, [f"class {number}" for number in range(1, CLASSES)])
    model, stage = task.build(), config.train.stages["all"]
    apply_stage(model, stage, config.train)
    model.compile(optimizer=make_optimizer(config.train, stage, model, 100))
    boxes = np.array([[40.0, 40, 200, 220], [300, 100, 420, 300], [10, 300, 90, 420]], np.float32)
    inputs = {
        "image": np.random.default_rng(0).integers(0, 256, (BATCH, HEIGHT, WIDTH, 3), np.uint8),
        "size": np.array([[HEIGHT, WIDTH]] * BATCH, np.int32),
        "boxes": np.stack([boxes] * BATCH),
        "labels": np.array([[0, 1, 2]] * BATCH, np.int32),
        "seed": np.array([[0, 1], [0, 2]], np.int32),
    }
    data = iter(tf.data.Dataset.from_tensors((inputs, ())).repeat())
    model.make_train_function()
    return BATCH / _seconds_a_step(lambda: model.train_function(data))


def _seconds_a_step(step):
    step()
    step()
    taken = []
    for _ in range(STEPS):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def work(competitor, folder):
    if competitor == "torchvision":
        rate = torch_predict(folder)
    elif competitor == "torchvision train":
        rate = torch_train(folder)
    elif competitor == "retinue train":
        rate = retinue_train(folder)
    elif competitor == "prepare torch":
        torch_model(folder / "weights.pth")
        rate = 0
    elif competitor == "prepare retinue":
        make_run(folder)
        rate = 0
    else:
        rate = retinue_predict(folder, *competitor.split())
    print(json.dumps({"rate": rate, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


def measure(competitor, folder, torch_python):
    """One run in a process of its own."""
    python = torch_python if "torch" in competitor else sys.executable
    return run_competitor(competitor, [python, __file__, "--work", competitor, folder])


def write_table(measured, torch_version):
    from retinue.configs.machine import usable_cores
    from retinue.pipeline.runs.run import to_csv, versions

    rows = []
    for competitor, runs in measured.items():
        peer = "torchvision train" if competitor in TRAINING else "torchvision"
        rate, peers = (statistics.median(run["rate"] for run in measured[name]) for name in (competitor, peer))
        rows.append(
            {
                "competitor": competitor,
                "images_per_second": round(rate, 3),
                "times_torchvision": round(rate / peers, 2),
                "memory_gib": round(max(run["memory"] for run in runs), 2),
                "runs": len(runs),
                "slowest": round(min(run["rate"] for run in runs), 3),
                "fastest": round(max(run["rate"] for run in runs), 3),
                "cores": usable_cores(),
                "torch": torch_version,
                **versions(),
            }
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", help="an interpreter with torch and torchvision")
    parser.add_argument("--count", type=int, default=24, help="images that are made")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work[0], Path(options.work[1]))
    from predict import make_images

    version = "import torch, torchvision; print(torch.__version__, torchvision.__version__)"
    torch_version = subprocess.run([options.torch, "-c", version], capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_images(folder / "images", options.count, WIDTH, HEIGHT)
        for side in ("prepare torch", "prepare retinue"):
            measure(side, folder, options.torch)
        from retinue.pipeline.runtimes import bf16_bias_correction

        fit_here = [name for name in PREDICTING if bf16_bias_correction.is_native() or "bf16" not in name]
        measured = {competitor: [] for competitor in (*fit_here, *TRAINING)}
        for repeat in range(options.repeats):
            for competitor in measured:
                measured[competitor].append(measure(competitor, folder, options.torch))
                print(f"repeat {repeat + 1}: {competitor}: {measured[competitor][-1]}", flush=True)
    write_table(measured, torch_version.strip())


if __name__ == "__main__":
    main()

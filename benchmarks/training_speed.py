"""A training step against torchvision's and timm's on the CPU, and the fraction of time that training waits for images.

    python benchmarks/training_speed.py --torch PYTHON [--repeats 5] [--networks NAME...]

PYTHON: an interpreter that has torch, torchvision and timm (for EfficientNet-Lite0). The step: forward, softmax
cross-entropy over 10 classes, backward, SGD with momentum 0.9 on all weights, batch norms updating, no dropout but
VGG's own; 224 px, batches of 8 that lie in memory as bytes (the normalization is in the step of both). Each library
in a process of its own, in turn, `--repeats` times: milliseconds of the middle step of those after the first two.
"input_wait_fraction" is the fraction of an epoch in which `retinue train` waited for batches, from its own log: 96
images of 500 x 375 pixels as JPEG files, the default augmentation on, the second epoch of two. Writes
benchmarks/results/training_speed.csv.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from competitor_process import run_competitor

RESULTS = Path(__file__).parent / "results" / "training_speed.csv"
MODELS = ("resnet18", "resnet50", "vgg16", "efficientnet_lite0")
BATCH, SIZE, CLASSES, WARM = 8, 224, 10, 2
STEPS = {"resnet18": 16, "resnet50": 8, "vgg16": 4, "efficientnet_lite0": 12}


def examples():
    import numpy as np

    drawn = np.random.default_rng(0)
    return drawn.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype("uint8"), drawn.integers(0, CLASSES, BATCH)


def step_of_torch(network):
    import torch
    import torchvision

    if network == "efficientnet_lite0":
        import timm

        model = timm.create_model(network, pretrained=False, num_classes=CLASSES)
    else:
        model = getattr(torchvision.models, network)(weights=None, num_classes=CLASSES)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    mean, deviation = (torch.tensor(one).view(1, 3, 1, 1) for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    images, labels = map(torch.from_numpy, examples())

    def step():
        x = (images.permute(0, 3, 1, 2).float() / 255 - mean) / deviation
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def step_of_retinue(network):
    from retinue import tasks
    from retinue.configs.load import load_config
    from retinue.configs.quiet import import_tensorflow

    import_tensorflow()  # which chooses its layers
    import numpy as np
    import tensorflow as tf

    from retinue.pipeline.training.optimizer import SGD

    settings = [f"model.backbone={network}", "model.weights=none", f"model.input_size={SIZE}", "model.dropout=0"]
    config = load_config(settings=[*settings, "train.label_smoothing=0"])
    model = tasks.create(config, [str(number) for number in range(CLASSES)]).build()
    model.compile(SGD(1e-4, momentum=0.9, lr_multiplier_of=lambda variable: 1.0, weight_decay_of=lambda variable: 0.0))
    images, labels = examples()
    targets = np.eye(CLASSES, dtype="float32")[labels]
    data = iter(tf.data.Dataset.from_tensors((images, targets)).repeat().prefetch(2))
    model.make_train_function()
    return lambda: model.train_function(data)


def work(library, network):
    """Milliseconds of the middle step, printed."""
    step, taken = (step_of_torch if library == "torch" else step_of_retinue)(network), []
    for _ in range(WARM + STEPS[network]):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    print(json.dumps(1000 * statistics.median(taken[WARM:])))


def waiting(network, image_files, out):
    """The fraction of its second epoch that `retinue train` waited for data."""
    settings = [
        f"model.backbone={network}",
        "model.weights=none",
        f"train.batch_size={BATCH}",
        "evaluate.bootstrap_samples=0",
    ]
    settings += [
        "data.val_fraction=0",
        "data.test_fraction=0",
        "train.stages={all: {epochs: 2, learning_rate: 0.0001}}",
    ]
    command = [sys.executable, "-m", "retinue.cli", "train", str(image_files), "--out", str(out)]
    command += [part for setting in settings for part in ("--set", setting)]
    subprocess.run(command, check=True, capture_output=True)
    with open(out / "metrics.csv") as file:
        return float(list(csv.DictReader(file))[-1]["input_wait_fraction"])


def make_images(folder):
    from predict import make_images as make

    make(folder / "all", 96)
    for number, file in enumerate(sorted((folder / "all").iterdir())):
        (folder / "image_files" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        file.rename(folder / "image_files" / "ab"[number % 2] / file.name)
    return folder / "image_files"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work)
    from retinue.configs.machine import usable_cores
    from retinue.pipeline.runs.run import to_csv, versions

    asked = "import torch, torchvision, timm; print(torch.__version__, torchvision.__version__, timm.__version__)"
    asked = subprocess.run([options.torch, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    found, waits = {network: {"torch": [], "retinue": []} for network in options.networks}, {}
    for repeat in range(options.repeats):
        for network, taken in found.items():
            for library in taken:
                python = options.torch if library == "torch" else sys.executable
                command = [python, __file__, "--work", library, network]
                taken[library].append(run_competitor(f"{library} {network}", command, CUDA_VISIBLE_DEVICES=""))
                print(f"repeat {repeat + 1}: {network}, {library}: {taken[library][-1]:.0f} ms", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        image_files = make_images(Path(scratch))
        for network in options.networks:
            waits[network] = waiting(network, image_files, Path(scratch) / network)
            print(f"{network}: {waits[network]:.2%} of the time waiting for data", flush=True)
    rows = []
    for network, taken in found.items():
        ours, theirs = statistics.median(taken["retinue"]), statistics.median(taken["torch"])
        row = {
            "network": network,
            "retinue_ms": round(ours),
            "torch_ms": round(theirs),
            "times_torch": round(theirs / ours, 2),
        }
        for library, each in taken.items():
            row |= {f"{library}_range": f"{min(each):.0f}-{max(each):.0f}"}
        row |= {"input_wait_fraction": waits[network], "batch": BATCH, "runs": options.repeats, "cores": usable_cores()}
        rows.append(row | dict(zip(("torch", "torchvision", "timm"), asked, strict=True)) | versions())
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))


if __name__ == "__main__":
    main()

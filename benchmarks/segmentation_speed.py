"""Prediction of fcn_resnet50 (21 classes) at 480x640 on the CPU: ours on each runtime, and torchvision's, in one run.

    python benchmarks/segmentation_speed.py --torch PYTHON [--out benchmarks/results/segmentation_speed.csv]
PYTHON is an interpreter with torch and torchvision. Both have random weights of one architecture; ours takes uint8
pixels to class ids, torchvision's normalized floats to logits and their argmax. Rounds alternate, each is the best of
some calls.

    python benchmarks/segmentation_speed.py --run RUN --data DATA
scores the run on the test split of DATA in each precision: what does the speed cost?
"""

import argparse
import csv
import os
import subprocess
import time
from pathlib import Path

import numpy as np

SIZE, CLASSES = (480, 640), 21
CALLS, ROUNDS = 3, 3
TORCH = """
import sys, time, torch, torchvision
torch.set_num_threads(int(sys.argv[1]))
model = torchvision.models.segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=21).eval()
layout = torch.channels_last if sys.argv[2] == "channels_last" else torch.contiguous_format
model, x = model.to(memory_format=layout), torch.rand(1, 3, 480, 640).to(memory_format=layout)
with torch.inference_mode():
    model(x)
    for line in sys.stdin:
        best = 1e9
        for _ in range(int(line)):
            began = time.perf_counter()
            model(x)["out"].argmax(1)
            best = min(best, time.perf_counter() - began)
        print(best, flush=True)
"""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--torch", help="an interpreter with torch and torchvision")
    options.add_argument("--run", help="a run folder of segmentation")
    options.add_argument("--data", help="with --run: data with a test split")
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "segmentation_speed.csv")
    given = options.parse_args()
    if given.run:
        return compare_precisions(given.run, given.data)
    from retinue.configs.machine import usable_cores

    ways = ours() | {
        f"torchvision, {layout}": torchvisions(given.torch, usable_cores(), layout)
        for layout in ("contiguous", "channels_last")
    }
    best = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, seconds_of in ways.items():
            best[name].append(seconds_of())
            print(f"{name:<32} {best[name][-1]:.3f} s", flush=True)
    fastest = min(min(times) for name, times in best.items() if name.startswith("torchvision"))
    rows = [
        {
            "what": name,
            "seconds": round(min(times), 3),
            "slowest_round": round(max(times), 3),
            "times_as_fast_as_torchvision": round(fastest / min(times), 2),
        }
        for name, times in best.items()
    ]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with open(given.out, "w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(given.out.read_text())


def compare_precisions(run, data):
    """Print the scores of a run by each runtime and precision."""
    from retinue.pipeline.evaluation.evaluate import score
    from retinue.pipeline.inputs.prepare import read_and_check
    from retinue.pipeline.prediction.predictor import load_runtime
    from retinue.pipeline.runs.run import open_model

    model = open_model(run)
    dataset = read_and_check(data, model.config, task="segmentation", training=False).usable()[0].split("test")
    for runtime, precision in (("tensorflow", "f32"), ("openvino", "f32"), ("openvino", "bf16")):
        numbers = score(model.task, load_runtime(model, runtime, precision), dataset, interval=False).metrics
        print(f"{runtime} {precision}: mean IoU {numbers['mean_iou']:.4f}, {len(dataset)} images", flush=True)
    return None


def ours():
    """{name: function that gives the seconds of the best call}."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from retinue import tasks
    from retinue.configs.load import load_config
    from retinue.pipeline.runtimes import openvino_runtime, tensorflow_runtime

    settings = ["task=segmentation", "model.backbone=resnet50", "model.weights=none", "segmentation.head=fcn"]
    task = tasks.create(load_config(settings=settings), [str(number) for number in range(CLASSES)])
    inference = task.inference(task.build())
    function = tensorflow_runtime.trace(inference)
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)
    inputs = {"image": image, "original_size": np.array([SIZE], np.int32)}

    def timed(run):
        run(inputs)

        def best():
            found = []
            for _ in range(CALLS):
                began = time.perf_counter()
                run(inputs)
                found.append(time.perf_counter() - began)
            return min(found)

        return best

    ways = {"retinue, tensorflow": timed(tensorflow_runtime.TensorFlowRuntime(function, inference))}
    for precision in ("f32", "bf16"):
        runtime = openvino_runtime.OpenVINORuntime(openvino_runtime.convert(function), precision)
        ways[f"retinue, openvino {precision}, 1 image"] = timed(runtime)
        ways[f"retinue, openvino {precision}, stream"] = streamed(runtime, inputs)
    return ways


def streamed(runtime, inputs):
    """Seconds a image with as many requests in flight as `predict` has."""

    def best():
        began = time.perf_counter()
        futures = [runtime.submit(inputs) for _ in range(CALLS * runtime.num_requests)]
        for future in futures:
            future.result()
        return (time.perf_counter() - began) / len(futures)

    return best


def torchvisions(python, cores, layout):
    process = subprocess.Popen(
        [python, "-c", TORCH, str(cores), layout], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )

    def best():
        process.stdin.write(f"{CALLS}\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    return best


if __name__ == "__main__":
    main()

"""Measure the time of an occlusion map of about a thousand positions: ours, one at a time in Keras, and captum.

    python benchmarks/occlusion.py [--backbones efficientnet_lite0,resnet50] [--repeats 3]

Writes benchmarks/results/occlusion.csv. Weights are random: the time does not depend on them. One at a time is timed on
some of the positions, on which the maps are compared too. Captum needs torch, in an environment of its own:

    python benchmarks/occlusion.py --captum --backbones resnet50

which needs torch, torchvision and captum and nothing of retinue, and prints the lines to add.
"""

import argparse
import csv
import functools
import io
import time
from pathlib import Path

import numpy as np

SIDE, SQUARE, STEP = 224, 38, 6  # 32 x 32 = 1,024 positions
RESULTS = Path(__file__).parent / "results" / "occlusion.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", default="efficientnet_lite0,resnet50")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--captum", action="store_true")
    arguments = parser.parse_args()
    names = arguments.backbones.split(",")
    if arguments.captum:
        for name in names:
            print_captum(name, arguments.repeats)
        return
    from retinue.data.storage.atomic_files import atomic_write
    from retinue.pipeline.runs.run import to_csv

    rows = [row for name in names for row in measure(name, arguments.repeats)]
    measured = {(row["backbone"], row["how"]) for row in rows}
    if RESULTS.exists():  # what was measured at other times stays, captum's rows too
        with open(RESULTS, newline="", encoding="utf-8") as file:
            rows += [row for row in csv.DictReader(file) if (row["backbone"], row["how"]) not in measured]
    atomic_write(RESULTS, to_csv(rows))


def measure(name, repeats):
    """Rows of the table for one backbone."""
    import keras
    import tensorflow as tf

    from retinue import backbones
    from retinue.explain.occlusion import occlusion, spans
    from retinue.pipeline.explaining.compile_model import compile_model
    from retinue.tasks.classification.explainer import probability_function

    keras.utils.set_random_seed(0)
    model = backbones.build(name, weights="none", classifier=True)
    images = image()
    logits = model(images)["logits"]
    # Random weights give logits of any scale: brought to a deviation of 2, the probabilities are neither 0 nor 1.
    scaled = keras.layers.Rescaling(2 / float(keras.ops.std(logits)), name="scaled")(model.output["logits"])
    target, model = int(keras.ops.argmax(logits)), keras.Model(model.input, scaled)
    places = len(spans(SIDE, SQUARE, STEP)) ** 2
    whole = keras.Sequential([keras.Input((SIDE, SIDE, 3)), model, keras.layers.Softmax()])
    options = {"target": target, "size": SQUARE}
    compiled = tf.function(whole)

    def predict_one(batch):
        return np.concatenate([whole.predict(batch[i : i + 1], verbose=0) for i in range(len(batch))])

    def compiled_one(batch):
        return np.concatenate([compiled(batch[i : i + 1], training=False).numpy() for i in range(len(batch))])

    every = 10 * STEP  # some of the positions are timed, and scaled up
    some = len(spans(SIDE, SQUARE, every)) ** 2
    taken = []
    for one in (predict_one, compiled_one):
        one(images)
        taken.append(best_of(repeats, lambda one=one: occlusion(one, images, stride=every, **options)) / some * places)
    slow = taken[0]
    reference = occlusion(predict_one, images, stride=every, **options)
    rows = [
        row(name, "Keras predict, one at a time", places, slow, slow, None),
        row(name, "Keras in a tf.function, one at a time", places, taken[1], slow, None),
    ]
    for precision in ("f32", "bf16"):
        predict = probability_function(model, SIDE, "softmax", functools.partial(compile_model, precision=precision))
        predict(images)
        seconds = best_of(repeats, lambda predict=predict: occlusion(predict, images, stride=STEP, **options))
        difference = np.abs(occlusion(predict, images, stride=every, **options) - reference).max()
        difference /= np.abs(reference).max()
        rows.append(row(name, f"retinue, OpenVINO {precision}", places, seconds, slow, difference))
    return rows


def print_captum(name, repeats):
    """The same with captum and torchvision, one position a call (its default) and 16 at a time."""
    import torch
    import torchvision
    from captum.attr import Occlusion

    network = torchvision.models.get_model(name, weights=None).eval().to(memory_format=torch.channels_last)
    x = torch.from_numpy(image()).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last) / 255
    occlude, window = Occlusion(torch.nn.Sequential(network, torch.nn.Softmax(1))), (3, SQUARE, SQUARE)
    places = (-(-(SIDE - SQUARE) // STEP) + 1) ** 2
    rows = []
    with torch.no_grad():
        for together in (1, 16):
            seconds = best_of(
                repeats,
                lambda together=together: occlude.attribute(
                    x, window, (3, STEP, STEP), target=7, perturbations_per_eval=together
                ),
            )
            how = f"captum, torchvision channels_last, {together} at a time"
            rows.append(row(name, how, places, seconds, float("nan"), None))
    text = io.StringIO()
    csv.DictWriter(text, list(rows[0])).writerows(rows)
    print(text.getvalue(), end="")


def row(name, how, places, seconds, slow, difference):
    found = {
        "backbone": name,
        "how": how,
        "positions": places,
        "seconds": round(seconds, 2),
        "positions_per_second": round(places / seconds, 1),
        "times_one_at_a_time": round(slow / seconds, 1) if slow == slow else "",
        "largest_difference_of_largest_value": "" if difference is None else f"{difference:.1e}",
    }
    print(found, flush=True)
    return found


def best_of(repeats, function):
    """The shortest of several runs in seconds."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return min(taken)


def image():
    """A smooth random image, float32 `[1, 224, 224, 3]` in 0..255."""
    coarse = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3))
    return coarse.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2).astype(np.float32)


if __name__ == "__main__":
    main()

"""Estimate how training would scale to more machines than we have, from the bytes of the gradients.

    python benchmarks/scaling_estimate.py            the tables of docs/scaling.md

Each worker has one accelerator, and all of them add up their gradients in a ring (Patarasuk and Yuan 2009, "Bandwidth
optimal all-reduce algorithms"): a worker sends and receives 2 (N - 1) / N of the gradients' bytes a step, in 2 (N - 1)
messages. The constants below are assumptions; nothing here was measured.
"""

import math

from retinue import backbones
from retinue.backbones.multiply_adds import MULTIPLY_ADDS

MODELS = {"ResNet-50": "resnet50", "VGG-16": "vgg16"}
WITHOUT_FC = "VGG-16 without fc6 to fc8"
BATCH = 128  # images a worker and step
RATE = 60e12  # operations a second that an accelerator sustains: 2,500 images a second of ResNet-50
PASSES = 3  # a training step costs three forward passes: one forward and two backward
BACKWARD = 2 / 3  # of a step's time, during which gradients can already travel
BYTES = 4  # of a gradient: they are added up in float32
NETWORKS = {"10 Gbit/s": 10e9, "100 Gbit/s": 100e9}
USABLE = 0.9  # of a network's rate
MESSAGE = 20e-6  # seconds that a message takes, whatever its size
WORKERS = (8, 64, 512)


def models():
    """{name: (gradients, multiply-adds of a image)}."""
    found = {name: (_trainable(backbone), MULTIPLY_ADDS[backbone]) for name, backbone in MODELS.items()}
    gradients, multiply_adds = found["VGG-16"]
    # fc6, fc7 and fc8 on 7 x 7 x 512 places; no weight of theirs is used twice. In their place: a mean over the places
    # and one layer from 512 channels to 1,000 classes.
    linear = (7 * 7 * 512 * 4096, 4096 * 4096, 4096 * 1000)
    biases = 4096 + 4096 + 1000
    found[WITHOUT_FC] = (
        gradients - sum(linear) - biases + 512 * 1000 + 1000,
        multiply_adds - sum(linear) + 512 * 1000,
    )
    return found


def step(gradients, multiply_adds, workers, network):
    """(seconds that a step computes, seconds that its gradients travel)."""
    computing = BATCH * PASSES * 2 * multiply_adds / RATE
    sent = 2 * (workers - 1) / workers * gradients * BYTES
    return computing, sent * 8 / (USABLE * NETWORKS[network]) + 2 * (workers - 1) * MESSAGE


def efficiency(computing, travelling):
    """Fraction of the time that computes: (gradients travel after the backward pass, while it runs)."""
    apart = computing / (computing + travelling)
    return apart, computing / (computing + max(0.0, travelling - BACKWARD * computing))


def tables():
    """The lines of both tables, in Markdown."""
    yield "| Model | Gradients | Bytes a step | Computing a step |"
    yield "|---|---|---|---|"
    for name, (gradients, multiply_adds) in models().items():
        computing, _ = step(gradients, multiply_adds, 8, "10 Gbit/s")
        yield f"| {name} | {gradients:,} | {gradients * BYTES / 1e6:.0f} MB | {computing * 1e3:.0f} ms |"
    yield ""
    yield "| Model | Network | " + " | ".join(f"{workers} workers" for workers in WORKERS) + " |"
    yield "|---|---|" + "---|" * len(WORKERS)
    for name, (gradients, multiply_adds) in models().items():
        for network in NETWORKS:
            fractions = [efficiency(*step(gradients, multiply_adds, workers, network)) for workers in WORKERS]
            yield f"| {name} | {network} | " + " | ".join(f"{low:.0%} to {high:.0%}" for low, high in fractions) + " |"


def _trainable(name):
    import keras

    with keras.StatelessScope(initialize_variables=False):  # no weights are made
        entry = backbones.find(name)
        model = backbones.build(name, "none", input_size=entry.input_size, classifier=True)
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


if __name__ == "__main__":
    print("\n".join(tables()))

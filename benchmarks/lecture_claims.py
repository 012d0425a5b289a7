"""Test three claims of the lecture on real data; a plot and its numbers are written to docs/claims/.

    python benchmarks/lecture_claims.py batch_norm degradation fine_tuning [--source FOLDER]

Fashion-MNIST is read from the Debian package dataset-fashion-mnist (--source: see fashion_mnist.py), the solar cells
come from PyPI as in `retinue demo`. docs/claims.md says what came out.
"""

import argparse
import csv
import io
import tempfile
import time
from pathlib import Path

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from fashion_mnist import SOURCE, read_fashion_mnist
from keras import layers
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from retinue.backbones import blocks, lenet, resnet
from retinue.backbones.initializers import glorot
from retinue.configs.load import load_config
from retinue.configs.logs import enable_console
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.demos.solar_cells import solar_cell_rows, solar_cells
from retinue.pipeline.training.train import train
from retinue.tasks.plots import BLUE, GRAY, ORANGE, STYLE

FOLDER = Path(__file__).parents[1] / "docs" / "claims"
PERCENT = PercentFormatter(1.0, decimals=0)

# Ioffe and Szegedy train 50,000 steps of 60 images; so much is enough to see what they show.
BATCH_NORM_STEPS = {"mlp": 12_000, "lenet5": 3_000}
BATCH_NORM_RATES = {"mlp": (0.1, 1.0, 3.0), "lenet5": (0.3, 1.0)}
LAST = 5  # the mean over so many points at the end says which rate is the best
SLOW = 0.99  # momentum of the moving statistics: in batches of 60, those of the last ten are too uncertain to test with

DEPTHS = (20, 56)
DEGRADATION_IMAGES, DEGRADATION_STEPS, WARM_UP = {"train": 5_000, "test": 2_000}, 1_600, 100

IMAGES, TEST_IMAGES = (20, 50, 120), 204  # of each class; there are 204 defective cells for validation
EPOCHS = {"none": 20, "imagenet": 10}


def batch_norm(source):
    """Batch normalization trains faster and further: Ioffe and Szegedy 2015 (arXiv 1502.03167), section 4.1, figure 1a.

    Their model (three sigmoid layers of 100 units, batches of 60, plain SGD) and LeNet-5, each with and without batch
    normalization before the sigmoid, at several learning rates; each is shown at the rate that suits it best.
    """
    data = read_fashion_mnist(source)
    rows = []
    for network, build in (("mlp", perceptron), ("lenet5", lenet5)):
        for normalized in (False, True):
            for rate in BATCH_NORM_RATES[network]:
                steps = BATCH_NORM_STEPS[network]
                keras.utils.set_random_seed(0)
                model, optimizer = build(normalized), keras.optimizers.SGD(rate)
                about = {"network": network, "batch_norm": normalized, "rate": rate}
                rows += [about | row for row in learn(model, optimizer, data, 60, steps, every=steps // 30)]
                print(rows[-1], flush=True)
    write("batch_norm", rows, draw_batch_norm)


def perceptron(normalized):
    """The MNIST model of Ioffe and Szegedy's section 4.1: 784 - 100 - 100 - 100 - 10, sigmoid."""
    image = keras.Input((28, 28, 1))
    x = layers.Flatten()(image)
    for number in (1, 2, 3):
        x = layers.Dense(100, use_bias=not normalized, kernel_initializer=glorot())(x)
        x = blocks.batch_norm(x, f"bn{number}", momentum=SLOW) if normalized else x
        x = layers.Activation("sigmoid")(x)
    return keras.Model(image, layers.Dense(10, kernel_initializer=glorot())(x))


def lenet5(normalized):
    """LeNet-5 (backbones/lenet.py), or the same with batch normalization between convolution and sigmoid."""
    image = keras.Input((28, 28, 1))
    if not normalized:
        return keras.Model(image, lenet.build(image, 32, classifier=True))
    x = layers.ZeroPadding2D(2)(image)
    for name, filters, kernel in (("conv1", 6, 5), ("conv2", 16, 5), ("conv3", 120, 5), ("fc", 84, 1)):
        x = blocks.conv_bn(x, filters, kernel, name, padding="valid", activation="sigmoid", momentum=SLOW)
        x = layers.AveragePooling2D(2)(x) if name in ("conv1", "conv2") else x
    return keras.Model(image, blocks.classifier_head(x, 10))


def draw_batch_norm(figure, rows):
    for axes, network, title in zip(
        figure.subplots(1, 2),
        ("mlp", "lenet5"),
        ("3 sigmoid layers of 100 units", "LeNet-5"),
        strict=True,
    ):
        for normalized, color, name in ((True, BLUE, "with"), (False, ORANGE, "without")):
            of_model = [row for row in rows if row["network"] == network and row["batch_norm"] == normalized]
            curves = {row["rate"]: ([0], [0.1]) for row in of_model}  # before the first step: one in ten classes
            for row in of_model:
                curves[row["rate"]][0].append(row["step"])
                curves[row["rate"]][1].append(row["test_accuracy"])
            best = max(curves, key=lambda rate: np.mean(curves[rate][1][-LAST:]))
            for rate, (steps, accuracy) in curves.items():
                shown = {"lw": 1.8, "label": f"{name} batch normalization, rate {rate:g}"}
                axes.plot(steps, accuracy, color=color, **(shown if rate == best else {"lw": 0.7, "alpha": 0.5}))
        axes.set(title=title, xlabel="steps of 60 sample_images", ylabel="test accuracy", ylim=(0.4, 0.92))
        axes.yaxis.set_major_formatter(PERCENT)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))


def degradation(source):
    """Deeper plain models have a higher training error, residual ones do not: He et al. 2015, section 4.2, figure 6.

    Their CIFAR models of 20 and 56 layers, plain and residual, all with batch normalization, which differ in nothing
    but the shortcuts; on 5,000 images of Fashion-MNIST, 20 times each, the first convolution with stride 2. The rate is
    three tenths of theirs, reached after a warm-up, since there are few steps to make up for a poor start.
    """
    data = read_fashion_mnist(source)
    data = {split: tuple(part[: DEGRADATION_IMAGES[split]] for part in parts) for split, parts in data.items()}
    rows = []
    for shortcuts in (True, False):
        for depth in DEPTHS:
            drops = [WARM_UP, int(0.6 * DEGRADATION_STEPS), int(0.85 * DEGRADATION_STEPS)]
            rates = keras.optimizers.schedules.PiecewiseConstantDecay(drops, [0.003, 0.03, 0.003, 0.0003])
            optimizer = keras.optimizers.SGD(rates, momentum=0.9)
            about = {"network": "residual" if shortcuts else "plain", "layers": depth}
            every = DEGRADATION_STEPS // 20
            keras.utils.set_random_seed(0)
            model = cifar_model(depth, shortcuts)
            rows += [about | row for row in learn(model, optimizer, data, 64, DEGRADATION_STEPS, every)]
            print(rows[-1], flush=True)
    write("degradation", rows, draw_degradation)


def cifar_model(depth, shortcuts):
    """6n + 2 layers (He et al. 2015, section 4.2) of 16, 32 and 64 filters; projections where a stage begins."""
    image = keras.Input((28, 28, 1))
    x = blocks.conv_bn(image, 16, 3, "stem", stride=2)
    for stage, width in enumerate((16, 32, 64), start=1):
        for number in range(1, (depth - 2) // 6 + 1):
            name, stride = f"stage{stage}_block{number}", 2 if stage > 1 and number == 1 else 1
            branch = resnet.basic_branch(x, width, stride, 1, 1, name)
            if shortcuts:
                branch = layers.Add()([resnet.shortcut(x, width, stride, stage, number, name), branch])
            x = layers.Activation("relu")(branch)
    return keras.Model(image, blocks.classifier_head(x, 10))


def draw_degradation(figure, rows):
    for axes, network in zip(figure.subplots(1, 2, sharey=True), ("plain", "residual"), strict=True):
        for depth, color in zip(DEPTHS, (GRAY, BLUE), strict=True):
            curve = [row for row in rows if row["network"] == network and row["layers"] == depth]
            steps = [row["step"] for row in curve]
            axes.plot(steps, [row["train_error"] for row in curve], "-", color=color, label=f"{depth} layers, training")
            test = [1 - row["test_accuracy"] for row in curve]
            axes.plot(steps, test, ":", color=color, label=f"{depth} layers, test")
        axes.set(title=f"{network} networks", xlabel="steps of 64 sample_images", ylabel="error", ylim=(0, 0.9))
        axes.yaxis.set_major_formatter(PERCENT)
        axes.legend(loc="upper right")


def fine_tuning(_):
    """Fine-tuning beats training from scratch on few images: solar cells, EfficientNet-Lite0, by `retinue train`.

    What starts from random weights is given twice the epochs.
    """
    table = solar_cell_rows(solar_cells())
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for count in IMAGES:
            few = Path(scratch) / f"{count}.csv"
            atomic_write(few, as_csv(few_of_each_class(table, {"train": count, "test": TEST_IMAGES})))
            for weights, epochs in EPOCHS.items():
                settings = {"model.weights": weights, "train.stages.all.epochs": epochs}
                config = load_config("few-solar-cells", options=settings)
                _, scores = train(few, config, Path(scratch) / f"{weights}-{count}", command="lecture_claims.py")
                low, high = scores.interval
                found = {"test_accuracy": round(scores.value, 4), "low": round(low, 4), "high": round(high, 4)}
                rows.append({"weights": weights, "epochs": epochs, "images_of_each_class": count} | found)
                print(rows[-1], flush=True)
    write("fine_tuning", rows, draw_fine_tuning)


def few_of_each_class(table, counts, seed=0):
    """Rows of the `file,label,split` table: so many of each label as `counts` has for their split."""
    random = np.random.default_rng(seed)
    chosen = []
    for split, count in counts.items():
        for label in sorted({row["label"] for row in table}):
            rows = [row for row in table if (row["split"], row["label"]) == (split, label)]
            chosen += [rows[index] for index in sorted(random.permutation(len(rows))[:count])]
    return chosen


def draw_fine_tuning(figure, rows):
    axes = figure.subplots()
    for weights, color, name in (("imagenet", BLUE, "fine-tuned from ImageNet"), ("none", ORANGE, "from scratch")):
        curve = [row for row in rows if row["weights"] == weights]
        counts, accuracy, low, high = (
            np.array([row[key] for row in curve]) for key in ("images_of_each_class", "test_accuracy", "low", "high")
        )
        label = f"{name}, {EPOCHS[weights]} epochs"
        axes.errorbar(
            counts, accuracy, [accuracy - low, high - accuracy], fmt="o-", color=color, capsize=3, label=label
        )
    axes.axhline(0.5, color=GRAY, ls=":", label="guessing")
    axes.set(title="Solar cells, sound or defective: EfficientNet-Lite0 at 128 px", ylim=(0.4, 1.0))
    axes.set(xlabel="training image_files of each class", ylabel="test accuracy", xticks=IMAGES)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.legend(loc="upper left", ncols=3)


def learn(model, optimizer, data, batch, steps, every, seed=0):
    """Train with cross-entropy. Gives a row every `every` steps: step, train_error and test_accuracy.

    The training error is the mean over the steps since the last row. data: as `read_fashion_mnist` gives it; pixels
    become 0..1. model: to logits.
    """
    images, labels = (tf.constant(part) for part in data["train"])
    test_images, test_labels = data["test"]
    optimizer.build(model.trainable_variables)

    @tf.function
    def some_steps(rows):
        wrong = 0.0
        for chosen in rows:
            pixels = tf.cast(tf.gather(images, chosen), tf.float32)[..., None] / 255.0
            truth = tf.gather(labels, chosen)
            with tf.GradientTape() as tape:
                logits = model(pixels, training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits))
            optimizer.apply(tape.gradient(loss, model.trainable_variables))
            wrong += tf.reduce_mean(tf.cast(tf.argmax(logits, 1) != truth, tf.float32))
        return wrong / tf.cast(tf.shape(rows)[0], tf.float32)

    @tf.function
    def answers(pixels):
        return tf.argmax(model(tf.cast(pixels, tf.float32)[..., None] / 255.0, training=False), 1)

    random, found = np.random.default_rng(seed), []
    epochs = -(-steps * batch // len(labels))
    order = np.concatenate([random.permutation(len(labels)) for _ in range(epochs)])[: steps * batch]
    for step, rows in zip(
        range(every, steps + 1, every), np.split(order.reshape(steps, batch), range(every, steps, every)), strict=True
    ):
        error = some_steps(tf.constant(rows))
        predictions = np.concatenate([answers(part) for part in np.split(test_images, len(test_images) // 500)])
        accuracy = np.mean(predictions == test_labels)
        found.append({"step": step, "train_error": round(float(error), 4), "test_accuracy": round(float(accuracy), 4)})
    return found


def write(name, rows, draw):
    """`docs/claims/<name>.csv` and `.png`."""
    atomic_write(FOLDER / f"{name}.csv", as_csv(rows))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        draw(figure, rows)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
    atomic_write(FOLDER / f"{name}.png", png.getvalue())


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


CLAIMS = {claim.__name__: claim for claim in (batch_norm, degradation, fine_tuning)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", default=list(CLAIMS), help=f"which of {', '.join(CLAIMS)}  [all]")
    parser.add_argument("--source", default=SOURCE, help="folder of Fashion-MNIST's four .gz files  [%(default)s]")
    options = parser.parse_args()
    enable_console()
    for name in options.claims:
        began = time.perf_counter()
        CLAIMS[name](options.source)
        print(f"{name}: {(time.perf_counter() - began) / 60:.1f} minutes, written to {FOLDER / name}.png and .csv")


if __name__ == "__main__":
    main()

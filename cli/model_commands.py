"""The commands that take a trained model: `evaluate`, `predict`, `export`, `explain` and `benchmark`."""

import json
import sys
from typing import Any

import click

from retinue.cli.options import names_among, parse_point, renamed_option
from retinue.configs import logs
from retinue.configs.choices import ENGINES, EXPORT_FORMATS, EXPORT_PRECISIONS, PRECISIONS, RESULT_FORMATS, RUNTIMES
from retinue.configs.quiet import import_tensorflow
from retinue.pipeline.prediction.restarts import restart_after_crashes

runtime_option = click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default="auto",
    show_default=True,
    help="The library that runs the model. auto takes the one that is mostly the fastest.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="The number format. auto takes bf16 only if the run has proven that it costs no accuracy that matters.",
)


@click.command(short_help="Score a model on data with known answers.")
@click.argument("model")
@click.argument("data")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="The split of DATA to score.  [default: test, else val]",
)
@runtime_option
@precision_option
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def evaluate(model: str, data: str, split: str | None, runtime: str, precision: str, as_json: bool) -> None:
    """Score MODEL, a run folder or an export, on DATA with known answers."""
    import_tensorflow()
    from retinue.pipeline.evaluation.evaluate import evaluate, score_lines

    if as_json:
        logs.use_stderr()
    scores = evaluate(model, data, split=split, runtime=runtime, precision=precision)
    for line in score_lines(scores):
        click.echo(line, err=as_json)
    if as_json:
        click.echo(json.dumps(scores.as_json(), indent=1, ensure_ascii=False))


@click.command(short_help="Run a model over files.")
@click.argument("model")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--out", required=True, help="The folder for predictions.jsonl and failures.jsonl.")
@runtime_option
@precision_option
@click.option(
    "--format",
    "formats",
    callback=names_among(RESULT_FORMATS),
    default="jsonl",
    show_default=True,
    help="The formats of the results, separated by commas: jsonl, csv, and coco for boxes.",
)
@click.option("--overlay", is_flag=True, help="Write each image with its prediction drawn on it, too.")
@click.option("--crops", is_flag=True, help="Write each detected object as an image of its own, too.")
@click.option("--batch-size", type=click.IntRange(1), help="The number of images in a batch.")
@click.option("--shard", metavar="I/N", help="Process only the I-th of N parts of the files; I starts at 1.")
@click.option("--window", type=float, metavar="SECONDS", help="Video: predict for windows of this length.")
@click.option(
    "--stride",
    type=float,
    metavar="SECONDS",
    help="Video: the time from the start of one window to the next.  [default: --window]",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="local",
    show_default=True,
    help="local runs in this process; ray runs on several machines.",
)
@click.option(
    "--address", help="With ray: the cluster to use, auto or host:port.  [default: start Ray on this machine]"
)
@click.option(
    "--num-workers",
    type=click.IntRange(1),
    metavar="N",
    help="With ray: the number of workers.  [default: one per machine, on all its cores]",
)
@renamed_option("--step", "--stride")
@renamed_option("--batch", "--batch-size")
@renamed_option("--workers", "--num-workers")
def predict(model: str, sources: tuple[str, ...], out: str, **options: Any) -> None:
    """Run MODEL, a run folder or an export, over each SOURCE: files, folders, patterns, or @LIST, a text file of paths.

    A video model also takes the number of a camera or the address of a stream. Paths in a list are relative to the
    working directory. If you run the command again with the same --out, files that are done are skipped.

    --engine ray spreads the files over workers that keep the model loaded, and repeats what is lost when a worker dies.
    The results are the same. SOURCE may then also be an address that fsspec reads, such as s3://bucket/images.
    """
    own_process = click.get_current_context().obj
    if own_process and options["engine"] == "local":  # Ray replaces workers that die by itself
        restart_after_crashes(out)
    import_tensorflow()
    from retinue.pipeline.prediction.options import PredictOptions
    from retinue.pipeline.prediction.predict import predict

    summary = predict(model, list(sources), out, PredictOptions(**options))
    sys.exit(summary.exit_code)


@click.command(short_help="Export a model and prove the export.")
@click.argument("run")
@click.option("--out", required=True, help="The folder for the export. Without --versioned it must not exist yet.")
@click.option(
    "--to",
    "formats",
    callback=names_among(EXPORT_FORMATS),
    default="savedmodel",
    show_default=True,
    help="The formats, separated by commas: savedmodel, openvino, onnx, litert.",
)
@click.option(
    "--precision",
    type=click.Choice(EXPORT_PRECISIONS),
    default="f32",
    show_default=True,
    help="The number format of the weights; int8 is possible with --to openvino.",
)
@click.option(
    "--max-score-drop",
    type=float,
    default=0.5,
    show_default=True,
    help="The largest loss of the score, in points, that an int8 export may have.",
)
@click.option(
    "--verify-images",
    multiple=True,
    metavar="IMAGE",
    help="An image to prove the export with; may be repeated.  [default: images of the run]",
)
@click.option(
    "--versioned", is_flag=True, help="Write the next version (1, 2, ...) into --out, as model servers expect it."
)
@renamed_option("--accept-loss", "--max-score-drop")
@renamed_option("--images", "--verify-images")
def export(
    run: str,
    out: str,
    formats: tuple[str, ...],
    precision: str,
    max_score_drop: float,
    verify_images: tuple[str, ...],
    versioned: bool,
) -> None:
    """Export RUN as a model that needs no other code, and prove on real images that its outputs are the same."""
    import_tensorflow()
    from retinue.pipeline.exporting.export import export
    from retinue.pipeline.exporting.options import ExportOptions

    options = ExportOptions(
        formats=formats,
        precision=precision,
        max_score_drop=max_score_drop,
        verify_images=verify_images or None,
        versioned=versioned,
    )
    export(run, out, options)


@click.command(short_help="Show what a model looks at.")
@click.argument("model")
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--out", required=True, help="The folder for the results. It must not exist yet.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="A method of the list below; may be repeated. all takes every method.",
)
@click.option("--class", "class_name", metavar="NAME", help="The class to explain.  [default: the predicted class]")
@click.option(
    "--box", type=int, metavar="N", help="Detector: the number of the box to explain, the best first.  [default: 1]"
)
@click.option("--point", metavar="X,Y", help="Segmentation: explain the region around this pixel, not the whole class.")
@click.option(
    "--layer",
    metavar="NAME",
    help="The layer that grad-cam, activations, filters, deep-dream and the gradients of a neuron use.",
)
@click.option(
    "--channel",
    type=int,
    metavar="N",
    help="The channel of the layer for feature-visualization, deep-dream and the gradients of a neuron.",
)
@click.option("--weights", help="Backbone by name: its weights, imagenet, none, or a file.  [default: imagenet]")
@click.option(
    "--sanity-checks",
    is_flag=True,
    help="Test the maps, too: deletion and insertion curves, and randomized layers.",
)
@renamed_option("--check", "--sanity-checks", is_flag=True)
def explain(
    model: str,
    images: tuple[str, ...],
    out: str,
    methods: tuple[str, ...],
    class_name: str | None,
    box: int | None,
    point: str | None,
    layer: str | None,
    channel: int | None,
    weights: str | None,
    sanity_checks: bool,
) -> None:
    """Show what MODEL looks at in each IMAGE or clip: a sheet of images, and the maps as .npy files.

    MODEL is a run folder, the export of a classifier (occlusion only), or a name that `retinue models` lists, which
    takes its ImageNet weights: retinue explain efficientnet_lite0 cat.jpg --out why

    Of a detector, one box is explained; of a segmentation model, all pixels of a class or the region around a point; of
    a video model, each stream.

    \b
    Methods:  grad-cam, occlusion, saliency (the defaults), smoothgrad, integrated-gradients, activations,
              neuron-gradient, deconvnet, guided-backprop, deep-dream; without an image: filters,
              feature-visualization
    """
    import_tensorflow()
    from retinue.pipeline.explaining.explain import explain
    from retinue.pipeline.explaining.options import DEFAULT_METHODS, ExplainOptions

    options = ExplainOptions(
        methods=methods or DEFAULT_METHODS,
        class_name=class_name,
        box=box,
        point=parse_point(point),
        layer=layer,
        channel=channel,
        weights=weights,
        sanity_checks=sanity_checks,
    )
    failures = explain(model, images, out, options)
    sys.exit(3 if failures else 0)


@click.command(short_help="Measure every runtime and precision.")
@click.argument("model")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--limit", type=click.IntRange(1), default=200, show_default=True, help="The largest number of files to use."
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@renamed_option("--count", "--limit")
def benchmark(model: str, sources: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Measure MODEL, a run folder or an export, over each SOURCE with every runtime and precision.

    The table shows files per second from files to results, the model's own files per second, the time of a single call,
    memory, and whether the outputs agree with those of f32.
    """
    import_tensorflow()
    from retinue.pipeline import benchmark

    if as_json:
        logs.use_stderr()
    rows = benchmark.benchmark(model, list(sources), limit=limit)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        for line in benchmark.table(rows):
            click.echo(line)

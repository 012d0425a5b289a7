"""The commands that take a finished model: parse, call one function of the pipeline, print."""

import json
import sys

import click

from retinue.configs import logs
from retinue.configs.choices import ENGINES, EXPORT_FORMATS, EXPORT_PRECISIONS, PRECISIONS, RESULT_FORMATS, RUNTIMES
from retinue.configs.quiet import import_tensorflow


def _names_among(known):
    """A callback that makes a tuple of names with commas between them, each of them among `known`."""

    def read(context, option, text):
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        for name in names:
            if name not in known:
                raise click.BadParameter(f"{name}: is unknown; use one or more of {', '.join(known)}")
        return names

    return read


@click.command(short_help="Score a model on data with known answers.")
@click.argument("model")
@click.argument("data")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="Which part of DATA.  [default: what was held out]",
)
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True)
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True, help="bf16: to see what it costs."
)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def evaluate(model, data, split, runtime, precision, as_json):
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
@click.option("--out", required=True, help="Folder for predictions.jsonl and failures.jsonl.")
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True)
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True, help="bf16: faster, to 2 digits."
)
@click.option(
    "--format",
    "formats",
    callback=_names_among(RESULT_FORMATS),
    default="jsonl",
    show_default=True,
    help="jsonl, or jsonl,csv; coco for boxes.",
)
@click.option("--overlay", is_flag=True, help="Also draw the predictions on the pictures.")
@click.option("--crops", is_flag=True, help="Also cut out what is detected.")
@click.option("--batch", type=click.IntRange(1), help="Pictures a step.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts, I from 1.")
@click.option("--window", type=float, metavar="SECONDS", help="Video: answer for windows, not for whole clips.")
@click.option("--step", type=float, metavar="SECONDS", help="From one window's start to the next.  [default: --window]")
@click.option(
    "--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="ray: for several machines."
)
@click.option("--address", help="With ray, of a cluster: auto, host:port.  [default: a Ray of its own]")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="With ray.  [default: one a machine, on all its cores]"
)
def predict(**options):
    """Run MODEL, a run folder or an export, over SOURCEs: files, folders, globs, or @LIST, a text file of paths.

    A model for video also takes a camera's number and a stream's address.

    Paths in a list are relative to the folder that the command is run in. A restart with the same --out skips what is
    done.

    --engine ray spreads the files over workers that keep the model, and does again what is lost with one that dies; the
    results are the same. SOURCE may then also be an address that fsspec reads, such as s3://bucket/photos.
    """
    import_tensorflow()
    from retinue.pipeline.prediction.predict import predict

    summary = predict(sources=list(options.pop("sources")), **options)
    sys.exit(summary.exit_code)


@click.command(short_help="Export a model, and prove that it says the same.")
@click.argument("run")
@click.option("--out", required=True, help="A folder that does not exist yet; with --versioned it may.")
@click.option(
    "--to",
    "formats",
    callback=_names_among(EXPORT_FORMATS),
    default="savedmodel",
    show_default=True,
    help="savedmodel, openvino, onnx, litert; or several: savedmodel,onnx.",
)
@click.option(
    "--precision",
    type=click.Choice(EXPORT_PRECISIONS),
    default="f32",
    show_default=True,
    help="int8: with --to openvino.",
)
@click.option("--accept-loss", type=float, default=0.5, show_default=True, help="Points that int8 may cost.")
@click.option("--images", multiple=True, help="A photo for the proof; may be repeated.  [default: files of the run]")
@click.option("--versioned", is_flag=True, help="Make it the next version, 1, 2, ..., in --out, a folder to serve.")
def export(run, out, formats, precision, accept_loss, images, versioned):
    """Export RUN as a model that needs no other code, and prove on real pictures that it says the same."""
    import_tensorflow()
    from retinue.pipeline.exporting.export import export

    export(
        run,
        out,
        to=formats,
        precision=precision,
        accept_loss=accept_loss,
        images=images or None,
        versioned=versioned,
    )


@click.command(short_help="Show what a model looks at.")
@click.argument("model")
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--out", required=True, help="A folder that does not exist yet.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="May be repeated; all is every method.")
@click.option("--class", "class_name", metavar="NAME", help="The class to explain.  [default: the model's answer]")
@click.option("--box", type=int, metavar="N", help="Of a detector: the N-th box, the best first.  [default: 1]")
@click.option("--point", metavar="X,Y", help="Of a segmentation: the region around this pixel, not all of the class.")
@click.option(
    "--layer",
    metavar="NAME",
    help="The layer that grad-cam, activations, filters, deep-dream and the gradients of a neuron look at.",
)
@click.option(
    "--channel",
    type=int,
    metavar="N",
    help="The channel of the layer for feature-visualization, deep-dream and the gradients of a neuron.",
)
@click.option("--weights", help="Of a backbone: imagenet, none, or a file.  [default: imagenet]")
@click.option("--check", is_flag=True, help="Also test the maps: deletion, insertion, layers forgotten.")
def explain(model, images, out, methods, class_name, box, point, layer, channel, weights, check):
    """Show what MODEL looks at in each IMAGE or clip: a sheet of pictures, and the maps as .npy files.

    MODEL is a run folder, a classifier's export (occlusion only), or a name of `retinue models`, which is then taken
    with its ImageNet weights: retinue explain efficientnet_lite0 cat.jpg --out why

    Of a detector one box is explained, of a segmentation all pixels of a class, or the region around a point; of a
    video model each stream.

    \b
    Methods:  grad-cam, occlusion, saliency (these three by default), smoothgrad, integrated-gradients,
              activations, neuron-gradient, deconvnet, guided-backprop, deep-dream; without an image: filters,
              feature-visualization
    """
    import_tensorflow()
    from retinue.pipeline.explaining.explain import DEFAULT, explain

    failures = explain(
        model,
        images,
        out,
        methods=methods or DEFAULT,
        class_name=class_name,
        box=box,
        point=_point(point),
        layer=layer,
        channel=channel,
        weights=weights,
        check=check,
    )
    sys.exit(3 if failures else 0)


@click.command(short_help="Measure every runtime and precision.")
@click.argument("model")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="At most so many files.")
@click.option("--json", "as_json", is_flag=True)
def benchmark(model, sources, count, as_json):
    """Measure MODEL, a run folder or an export, over SOURCEs with every runtime and precision, to choose by.

    Files a second from files to results, the model's alone, the time of a single call, memory, and whether the answers
    are those of f32.
    """
    import_tensorflow()
    from retinue.pipeline import benchmark

    if as_json:
        logs.use_stderr()
    rows = benchmark.benchmark(model, list(sources), count=count)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        for line in benchmark.table(rows):
            click.echo(line)


def _point(text):
    """ "120,80" -> (120, 80); None for None."""
    if text is None:
        return None
    try:
        x, y = (int(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text}: is no X,Y, such as 120,80", param_hint="--point") from None
    return x, y


MODEL_COMMANDS = (evaluate, predict, export, explain, benchmark)

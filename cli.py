"""Every command: parse, call one function of the pipeline, print. Only commands that need TensorFlow import it."""

import errno
import json
import logging
import os
import shlex
import sys

import click

from retinue.cli_model import MODEL_COMMANDS
from retinue.configs import logs
from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.quiet import import_tensorflow

TASKS = ("classification", "detection", "segmentation", "video")
TASK_OF_DATA = click.Choice(["auto", *TASKS])
# A full disk or missing rights, wherever they are met.
USERS_TO_MEND = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


PASSED_ON = {"allow_interspersed_args": False}  # what follows is the options of `train`


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="retinue")
@click.option("-v", "--verbose", is_flag=True, help="Print more, each line with the name of its module.")
@click.option("-q", "--quiet", is_flag=True, help="Print warnings, errors and results alone.")
@click.pass_context
def commands(context, verbose, quiet):
    """From your own photos to a model that works.

    \b
    Start with:  retinue check PHOTOS/
    and then:    retinue train PHOTOS/

    PHOTOS/ holds a folder for each class; or give a CSV file with the columns file,label; or tfds:NAME.
    Boxes are read as COCO JSON, Pascal VOC, YOLO, or a CSV file with the columns file,x1,y1,x2,y2,label.
    """
    if verbose and quiet:
        raise click.UsageError("-v and -q: give one of them")
    context.with_resource(logs.console(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO))


@commands.command(short_help="Look for trouble in your data.")
@click.argument("data")
@click.option("--task", type=TASK_OF_DATA, default="auto", show_default=True)
@click.option("--out", help="Folder for report.json, problems.csv and samples.jpg.  [default: check]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a configuration key.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, and write no files unless --out is given."
)
def check(data, task, out, settings, as_json):
    """Look for trouble in DATA before it costs a night: bad files, duplicates, leaks, empty classes."""
    from retinue.data.checking.check_report import summary_lines
    from retinue.pipeline.inputs.prepare import config_for, inspect

    config = config_for(data, None if task == "auto" else task, settings=settings)
    if as_json:
        logs.use_stderr()
    report = inspect(data, config, task=task)
    if out or not as_json:
        report.write(out or "check")
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    else:
        for line in summary_lines(report):
            click.echo(line)
        click.echo(f"written  {out or 'check'}/report.json, problems.csv, samples.jpg")
    sys.exit(1 if report.would_fail else 0)


@commands.command(short_help="Fine-tune a pretrained model on your data.")
@click.argument("data")
@click.option("--task", type=TASK_OF_DATA, default="auto", show_default=True)
@click.option("--recipe", help="A name of `retinue recipes`, or a YAML file.")
@click.option("--backbone", help="A name of `retinue models`.")
@click.option("--weights", help="imagenet, none, or a file.")
@click.option("--out", help="The run folder.  [default: the next free runs/TASK-NNN]")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a configuration key; may be repeated."
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out, with its own configuration.")
@click.option("--auto-resume", is_flag=True, help="As --resume if the run in --out has begun, else start it.")
def train(data, task, recipe, backbone, weights, out, settings, resume, auto_resume):
    """Fine-tune a pretrained model on DATA and write a run folder with the model, its score and a report.

    Ends with code 3 when it went well, but something bad in DATA was left out, and with code 138 when it was ended by
    SIGTERM or by the loss of another worker: then --resume, or the same command with --auto-resume, goes on.
    """
    from retinue.pipeline.inputs.prepare import config_for

    if auto_resume and not out:
        raise UsageError("--auto-resume needs --out, the run folder to start or to go on with")
    begun = auto_resume and os.path.exists(os.path.join(out, "run.json"))
    task = None if task == "auto" else task
    options = {"model.backbone": backbone, "model.weights": weights}
    options = {key: value for key, value in options.items() if value is not None}
    changed = task or options or settings or recipe
    config = None if begun or (resume and not changed) else config_for(data, task, recipe, settings, options)
    from retinue.pipeline.training.train import train

    run, _ = train(data, config, out, resume=resume or begun, command=_command())
    sys.exit(3 if run and run.info["data"]["left_out"] else 0)


@commands.command(short_help="Train with several processes on this machine.", context_settings=PASSED_ON)
@click.option(
    "--workers", type=click.IntRange(1), required=True, help="How many; each gets its share of cores and GPUs."
)
@click.option(
    "--restarts",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Go on so often after a killed or hung one.",
)
@click.argument("command", nargs=-1, required=True, metavar="-- train DATA --out RUN ...")
@click.pass_context
def launch(context, workers, restarts, command):
    """Train with several worker processes on this machine, which share every batch and end with one run folder.

    \b
    retinue launch --workers 2 --restarts 3 -- train PHOTOS/ --out runs/photos

    Worker 0 writes here, the others in RUN-logs/. When one ends early, all end; --restarts goes on from the last
    checkpoint by itself. Code 138 says that the job can go on with --resume, here and of `train`.
    """
    if command[0] != "train":
        raise UsageError(
            f"launch: it starts `train`, not {command[0]}; write: retinue launch --workers 2 -- train DATA"
        )
    # a wrong option is told before anything is started
    given = train.make_context("retinue train", list(command[1:])).params
    from retinue.pipeline.training.launch import launch

    flags = [flag for flag, name in (("-v", "verbose"), ("-q", "quiet")) if context.parent.params[name]]
    sys.exit(launch(workers, given["data"], command[1:], given["out"], restarts=restarts, flags=flags))


for command in MODEL_COMMANDS:
    commands.add_command(command)


@commands.command(short_help="Compute the optical flow of clips, and store it.")
@click.argument("sources", nargs=-1, required=True, metavar="CLIPS...")
@click.option("--out", required=True, help="Folder for the flow; what is whole in it is not done again.")
@click.option("--method", default="dis", show_default=True, help="dis, farneback, or tvl1 with opencv-contrib")
@click.option("--bound", type=float, default=8.0, show_default=True, help="Pixels of motion that 8 bits reach to.")
@click.option("--size", default="128x170", show_default=True, metavar="HxW", help="What frames are resized to before.")
def flow(sources, out, method, bound, size):
    """Compute the optical flow of CLIPS (files, folders, globs, @LIST) once, for training with video.flow_folder.

    Method, bound and size must be those of the training: video.flow_method, video.flow_bound, video.frame_size. By
    default they are those of the recipe that `train` takes by itself.
    """
    from retinue.pipeline.flow import extract

    summary = extract(list(sources), out, method=method, bound=bound, size=_size(size))
    sys.exit(summary.exit_code)


@commands.command(short_help="List the backbones.")
@click.argument("pattern", required=False)
@click.option("--json", "as_json", is_flag=True)
def models(pattern, as_json):
    """List the backbones whose name fits PATTERN, with their sizes and where their weights come from."""
    from retinue.backbones import listing

    rows = listing(pattern)
    if not as_json:
        millions = ("parameters", "multiply_adds")
        rows = [
            {name: f"{value / 1e6:,.1f}M" if name in millions and value else value for name, value in row.items()}
            for row in rows
        ]
    _table(rows, as_json)


@commands.command(short_help="Show a backbone layer by layer.")
@click.argument("backbone")
@click.option("--size", type=click.IntRange(1), help="Pixels a side.  [default: what its weights were trained at]")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
def inspect(backbone, size, as_json, as_csv):
    """Show every layer of BACKBONE: output size, receptive field, parameters, multiply-adds."""
    from retinue import backbones

    row = backbones.find(backbone)
    import_tensorflow()
    from retinue.pipeline.summary import layer_csv, layer_rows

    size = size or row.input_size
    if as_csv:
        click.echo(layer_csv(backbone, size), nl=False)
    else:
        _table(layer_rows(backbone, size, exact=as_json), as_json)


@commands.command(short_help="List the recipes, or every setting.")
@click.option("--keys", is_flag=True, help="List every key that --set and recipes can change.")
def recipes(keys):
    """List the recipes for `train --recipe`."""
    from retinue.configs.load import describe_keys, recipes

    if keys:
        for row in describe_keys():
            click.echo(f"{row['key']}\n    {row['description']}  ({row['type']}; default {row['default']})")
        return
    for name, line in recipes().items():
        click.echo(f"{name:<16} {line}")


@commands.command(short_help="Show versions, devices, what is missing.")
@click.option("--gpu", is_flag=True, help="Instead, check whether the GPU learns what the CPU learns.")
def doctor(gpu):
    """Show versions, devices and runtimes, what is missing and how to get it."""
    import_tensorflow()
    if gpu:
        from retinue.pipeline.training.gpu_check import gpu_check

        raise SystemExit(0 if gpu_check() else 1)
    from retinue.pipeline.doctor import doctor

    rows = doctor()
    for topic, found, cure in rows:
        click.echo(f"{topic:<34} {found}" + (f"  ->  {cure}" if cure else ""))


@commands.command(short_help="Try it all on real photos.")
@click.argument("task", type=click.Choice(TASKS), default="classification")
@click.option("--out", help="The folder for everything.  [default: the next free runs/demo-NNN]")
def demo(task, out):
    """Fine-tune on real photos that a package carries, report, export and predict."""
    import_tensorflow()
    from retinue.pipeline.demos.demo import demo

    demo(task, out)


def main():
    """Entry point. Exit codes: 0 fine, 1 the job failed, 2 wrong use, 3 finished but some inputs were bad, 138 ended
    early through no fault of the user, and what was saved goes on."""
    try:
        commands(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(1)
    except RetinueError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in USERS_TO_MEND:
            raise
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror}", err=True)
        sys.exit(1)


def _size(text):
    """ "256x340" -> (256, 340)."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise UsageError(f"--size {text}: write it as height x width, for instance --size 256x340")
    return int(height), int(width)


def _command():
    return shlex.join(["retinue", *sys.argv[1:]])


def _table(rows, as_json):
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not rows:
        click.echo("nothing fits")
        return
    columns = list(rows[0])
    cells = [columns, *([("" if row[name] is None else str(row[name])) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()

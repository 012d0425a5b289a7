"""The commands that train: `train` in this process, and `launch` in several."""

import os
import shlex
import sys

import click

from retinue.cli.options import columns_option, renamed_option, settings_option, task_option
from retinue.configs.errors import UsageError


@click.command(short_help="Fine-tune a pretrained model on your data.")
@click.argument("data")
@task_option
@columns_option
@click.option("--recipe", help="A recipe: a name that `retinue recipes` lists, or a YAML file.")
@click.option("--backbone", help="The backbone: a name that `retinue models` lists.")
@click.option("--weights", help="The weights of the backbone: imagenet, none, or a file.")
@click.option("--out", help="The run folder.  [default: the next free runs/TASK-NNN]")
@settings_option
@click.option("--resume", is_flag=True, help="Resume the run in --out with its own configuration.")
@click.option("--auto-resume", is_flag=True, help="Resume the run in --out if it has begun; else start it.")
def train(
    data: str,
    task: str,
    columns: str | None,
    recipe: str | None,
    backbone: str | None,
    weights: str | None,
    out: str | None,
    settings: tuple[str, ...],
    resume: bool,
    auto_resume: bool,
) -> None:
    """Fine-tune a pretrained model on DATA and write a run folder with the model, its score and a report.

    Exit code 3 says that the run succeeded, but invalid files of DATA were skipped. Exit code 138 says that SIGTERM or
    the loss of another worker ended the run: resume it with --resume, or with the same command and --auto-resume.
    """
    from retinue.pipeline.inputs.prepare import config_for

    if auto_resume and not out:
        raise UsageError("--auto-resume needs --out, the run folder to start or to resume")
    begun = auto_resume and os.path.exists(os.path.join(out or "", "run.json"))
    options = {"model.backbone": backbone, "model.weights": weights, "data.columns": columns}
    options = {key: value for key, value in options.items() if value is not None}
    changed = task != "auto" or options or settings or recipe
    keep_config = begun or (resume and not changed)
    config = None if keep_config else config_for(data, None if task == "auto" else task, recipe, settings, options)
    from retinue.pipeline.training.train import train

    run, _ = train(data, config, out, resume=resume or begun, command=shlex.join(["retinue", *sys.argv[1:]]))
    sys.exit(3 if run and run.info["data"]["invalid_files"] else 0)


# What follows `--` are the options of `train`.
@click.command(
    short_help="Train with several processes on this machine.", context_settings={"allow_interspersed_args": False}
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    required=True,
    help="The number of worker processes. They divide the cores and GPUs of this machine among them.",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Restart from the last checkpoint up to N times after a crash or hang.",
)
@renamed_option("--restarts", "--max-restarts")
@click.argument("command", nargs=-1, required=True, metavar="-- train DATA --out RUN ...")
@click.pass_context
def launch(context: click.Context, workers: int, max_restarts: int, command: tuple[str, ...]) -> None:
    """Train with several worker processes on this machine, which divide every batch and write one run folder.

    \b
    retinue launch --workers 2 --max-restarts 3 -- train DATA/ --out runs/mine

    The output of worker 0 appears here, that of the others in RUN-logs/. When one worker ends early, all end. With
    --max-restarts they restart from the last checkpoint. Exit code 138 says that the job can be resumed with --resume.
    """
    if command[0] != "train":
        raise UsageError(
            f"launch starts `train`, not `{command[0]}`; write for example: retinue launch --workers 2 -- train DATA"
        )
    # A wrong option of `train` is reported before any worker starts.
    parameters = train.make_context("retinue train", list(command[1:])).params
    from retinue.pipeline.training.launch import launch

    group = context.parent.params if context.parent else {}
    flags = [flag for flag, name in (("-v", "verbose"), ("-q", "quiet")) if group.get(name)]
    sys.exit(
        launch(workers, parameters["data"], command[1:], parameters["out"], max_restarts=max_restarts, flags=flags)
    )

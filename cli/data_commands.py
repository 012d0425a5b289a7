"""The commands that take data and no model: `check` and `flow`."""

import json
import sys

import click

from retinue.cli.options import columns_option, parse_size, settings_option, task_option
from retinue.configs import logs


@click.command(short_help="Check your data before training.")
@click.argument("data")
@task_option
@columns_option
@click.option("--out", help="The folder for report.json, problems.csv and samples.jpg.  [default: check]")
@settings_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON. Files are written only if --out is given, too."
)
def check(data: str, task: str, columns: str | None, out: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Check DATA before training: invalid files, duplicates, leaks between splits, empty classes.

    Exit code 1 says that training would fail.
    """
    from retinue.data.checking.summary import summary_lines
    from retinue.pipeline.inputs.prepare import config_for, explain_source, read_and_check

    options = {"data.columns": columns} if columns else None
    explanation = explain_source(data, task, settings, options)
    known_task = explanation.tasks[0] if explanation and task == "auto" else task
    config = config_for(data, None if known_task == "auto" else known_task, settings=settings, options=options)
    if as_json:
        logs.use_stderr()
    report = read_and_check(data, config, task=task, explanation=explanation)
    if out or not as_json:
        report.write(out or "check")
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    else:
        for line in summary_lines(report, task, config.data.columns):
            click.echo(line)
        click.echo(f"written  {out or 'check'}/report.json, problems.csv, samples.jpg")
    sys.exit(1 if report.would_fail else 0)


@click.command(short_help="Compute and store the optical flow of clips.")
@click.argument("sources", nargs=-1, required=True, metavar="CLIP...")
@click.option("--out", required=True, help="The folder for the flow. Clips that are complete in it are skipped.")
@click.option(
    "--method", default="dis", show_default=True, help="The algorithm: dis, farneback, or tvl1 (with opencv-contrib)."
)
@click.option(
    "--bound", type=float, default=8.0, show_default=True, help="The largest motion in pixels that 8 bits represent."
)
@click.option(
    "--size", default="128x170", show_default=True, metavar="HxW", help="The size that frames are resized to first."
)
def flow(sources: tuple[str, ...], out: str, method: str, bound: float, size: str) -> None:
    """Compute the optical flow of each CLIP (files, folders, patterns, @LIST) once, for training with
    video.flow_folder.

    Method, bound and size must equal those of the training: video.flow_method, video.flow_bound and video.frame_size.
    The defaults are those of the recipe that `train` uses by default.
    """
    from retinue.pipeline.flow import extract_flow

    summary = extract_flow(list(sources), out, method=method, bound=bound, size=parse_size(size))
    sys.exit(summary.exit_code)

"""The group of all commands, and the entry point with its exit codes."""

import errno
import logging
import os
import sys

import click

from retinue.cli.catalog_commands import demo, doctor, inspect, models, recipes, summary
from retinue.cli.data_commands import check, flow
from retinue.cli.model_commands import benchmark, evaluate, explain, export, predict
from retinue.cli.training_commands import launch, train
from retinue.configs import logs
from retinue.configs.errors import RetinueError

# System errors that the user can fix: a full disk or missing rights.
FIXABLE_BY_USER = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="retinue")
@click.option("-v", "--verbose", is_flag=True, help="Print more, and begin each line with the name of its module.")
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings, errors and results.")
@click.pass_context
def commands(context: click.Context, verbose: bool, quiet: bool) -> None:
    """Fine-tune pretrained vision models on your own images, score them, run them and export them.

    \b
    Start with:  retinue check DATA/
    and then:    retinue train DATA/

    DATA/ holds one folder of images per class. It may also be a CSV file with the columns file,label, or tfds:NAME.
    Boxes are read from COCO JSON, Pascal VOC, YOLO, or a CSV file with the columns file,x1,y1,x2,y2,label.
    """
    if verbose and quiet:
        raise click.UsageError("-v and -q exclude each other; give only one of them")
    context.with_resource(logs.console(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO))


COMMANDS = (
    *(check, train, launch),
    *(evaluate, predict, export, explain, benchmark),
    *(flow, models, summary, recipes, doctor, demo, inspect),
)
for command in COMMANDS:
    commands.add_command(command)


def main(own_process: bool = True) -> None:
    """Run the command that `sys.argv` holds, and exit.

    Args:
        own_process: whether this process runs nothing else. Then `predict` continues in a child process, which is
            replaced if a damaged file crashes it.

    Exit codes: 0 success; 1 the job failed; 2 wrong usage; 3 finished, but some inputs were invalid and are listed;
    138 the job was ended from outside (SIGTERM, a lost worker), and it can be resumed.
    """
    try:
        commands(standalone_mode=False, obj=own_process)
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
        if error.errno not in FIXABLE_BY_USER:
            raise
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror}", err=True)
        sys.exit(1)

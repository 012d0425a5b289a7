"""What several commands share: the options themselves, the parsing of their values, and the printing of tables."""

import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

import click

from retinue.configs.errors import UsageError
from retinue.configs.schema import Config

TASKS: tuple[str, ...] = get_args(Config.model_fields["task"].annotation)

task_option = click.option(
    "--task",
    type=click.Choice(["auto", *TASKS]),
    default="auto",
    show_default=True,
    help="The task. By default the data determine it.",
)
settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a configuration key; may be repeated. `retinue recipes --keys` lists the keys.",
)

columns_option = click.option(
    "--columns",
    metavar="NAMES",
    help="For a table whose header is not recognized: what it calls the columns that are needed, for example "
    "file=image,label=emotion.",
)


def renamed_option(old: str, new: str, is_flag: bool = False) -> Callable[[Any], Any]:
    """Return a decorator that answers an option of version 0.1 with its new name.

    Args:
        old: the old option, for example "--count".
        new: what it is called now.
        is_flag: whether the old option took no value.
    """

    def refuse(context: click.Context, option: click.Parameter, value: object) -> None:
        if value:
            raise click.UsageError(f"{old} was renamed to {new}", context)

    return click.option(old, is_flag=is_flag, hidden=True, expose_value=False, callback=refuse)


def names_among(known: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], tuple[str, ...]]:
    """Return a callback that splits a comma-separated option value into a tuple of names, each of them in `known`."""

    def split(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        for name in names:
            if name not in known:
                raise click.BadParameter(f"{name}: unknown; use one or more of {', '.join(known)}")
        return names

    return split


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of a text such as "256x340". Raises UsageError."""
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise UsageError(f"--size {text}: write it as height x width, for example --size 256x340")
    return int(height), int(width)


def parse_point(text: str | None) -> tuple[int, int] | None:
    """Return (x, y) of a text such as "120,80", and None for None. Raises click.BadParameter."""
    if text is None:
        return None
    try:
        x, y = (int(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text}: write it as X,Y, for example 120,80", param_hint="--point") from None
    return x, y


def print_table(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print rows with equal keys as an aligned table, or as JSON."""
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not rows:
        click.echo("nothing matches")
        return
    columns = list(rows[0])
    cells = [columns, *([("" if row[name] is None else str(row[name])) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

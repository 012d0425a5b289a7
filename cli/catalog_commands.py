"""The commands that show what there is: `models`, `summary`, `recipes`, `doctor` and `demo`."""

import click

from retinue.cli.options import TASKS, print_table
from retinue.configs.quiet import import_tensorflow


@click.command(short_help="List the backbones.")
@click.argument("pattern", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def models(pattern: str | None, as_json: bool) -> None:
    """List the backbones whose name matches PATTERN, with their sizes and the source of their weights."""
    from retinue.backbones import listing

    rows = listing(pattern)
    if not as_json:
        millions = ("parameters", "multiply_adds")
        rows = [
            {name: f"{value / 1e6:,.1f}M" if name in millions and value else value for name, value in row.items()}
            for row in rows
        ]
    print_table(rows, as_json)


@click.command(short_help="Show a backbone layer by layer.")
@click.argument("backbone")
@click.option(
    "--size", type=click.IntRange(1), help="The side of the input in pixels.  [default: the size of its weights]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
def summary(backbone: str, size: int | None, as_json: bool, as_csv: bool) -> None:
    """Show every layer of BACKBONE: output size, receptive field, parameters and multiply-adds."""
    from retinue import backbones

    row = backbones.find(backbone)
    import_tensorflow()
    from retinue.pipeline.summary import layer_csv, layer_rows

    size = size or row.input_size
    if as_csv:
        click.echo(layer_csv(backbone, size), nl=False)
    else:
        print_table(layer_rows(backbone, size, exact=as_json), as_json)


@click.command(hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def inspect(arguments: tuple[str, ...]) -> None:
    """The name of `summary` in version 0.1."""
    raise click.UsageError("`retinue inspect` was renamed to `retinue summary`")


@click.command(short_help="List the recipes, or every configuration key.")
@click.option("--keys", is_flag=True, help="List every key that --set and recipes can change.")
def recipes(keys: bool) -> None:
    """List the recipes for `train --recipe`."""
    from retinue.configs.load import describe_keys, recipes

    if keys:
        for row in describe_keys():
            click.echo(f"{row['key']}\n    {row['description']}  ({row['type']}; default {row['default']})")
        return
    for name, line in recipes().items():
        click.echo(f"{name:<20} {line}")


@click.command(short_help="Show versions, devices and what is missing.")
@click.option("--gpu", is_flag=True, help="Check instead that training on the GPU gives the results of the CPU.")
def doctor(gpu: bool) -> None:
    """Show versions, devices and runtimes, what is missing and how to install it."""
    import_tensorflow()
    if gpu:
        from retinue.pipeline.training.gpu_check import gpu_check

        raise SystemExit(0 if gpu_check() else 1)
    from retinue.pipeline.doctor import doctor

    for topic, state, cure in doctor():
        click.echo(f"{topic:<34} {state}" + (f"  ->  {cure}" if cure else ""))


@click.command(short_help="Run everything on real images.")
@click.argument("task", type=click.Choice(TASKS), default="classification")
@click.option("--out", help="The folder for everything.  [default: the next free runs/demo-NNN]")
def demo(task: str, out: str | None) -> None:
    """Fine-tune on real images that a package carries, write the report, export and predict."""
    import_tensorflow()
    from retinue.pipeline.demos.demo import demo

    demo(task, out)

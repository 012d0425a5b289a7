"""Several labels in one cell that blanks or commas separate, as in `haze primary`, or labels that contain such.

The names of classes may contain blanks and commas, too, so the labels of the whole table decide. If they don't, the
table is refused with the command for each reading.
"""

import shlex
from collections import Counter
from collections.abc import Collection

from retinue.configs.errors import RetinueError
from retinue.data.readers.tables.columns import plain

SEPARATORS = (",", " ")
TAGS = ("tags", "keywords", "attributes")  # names of columns that hold several labels
MOST = 0.5  # of the joined labels must consist of known parts
NEARLY_ALL = 0.9  # of the parts that are labels of their own
MANY = 2  # times as many joined labels as parts are combinations of these


def find_separator(path: str, column: str, cells: Collection[str], several: bool | None) -> str:
    """Return what separates the labels in the cells of a table, or "" if each cell is one label.

    Args:
        path: The table, for messages.
        column: What its header calls the column of labels, for messages.
        cells: The different cells.
        several: Whether a cell holds several labels, if the user answered it.

    Raises:
        RetinueError: Both are likely.
    """
    for separator in SEPARATORS:
        joined = [cell for cell in cells if len(_parts(cell, separator)) > 1]
        if not joined:
            continue
        _refuse_numbers(path, column, joined, separator)
        is_tags = plain(column) in TAGS and max(_counts(joined, separator).values()) > 1
        if several or is_tags or _are_joined(joined, cells, separator):
            return separator
        if several is None and _may_be_joined(joined, cells, separator):
            words = ", ".join(sorted(joined)[:3])
            what = "blanks" if separator == " " else "commas"
            raise RetinueError(
                f"{path}: the labels in the column {column} contain {what} ({words}), so each could be one label or "
                f"several; decide: retinue check {shlex.quote(path)} --columns {shlex.quote(f'label={column}')} for "
                f"one, or --columns {shlex.quote(f'labels={column}')} for several"
            )
    return ""


def split_joined(cell: str, separator: str) -> list[str]:
    """Return the labels in a cell, each once."""
    return list(dict.fromkeys(_parts(cell, separator))) if separator else [cell]


def _refuse_numbers(path: str, column: str, joined: Collection[str], separator: str) -> None:
    """Raise RetinueError for numbers of which a cell has one twice, since they are no labels."""
    for cell in joined:
        parts = _parts(cell, separator)
        if all(part.isdecimal() for part in parts) and len(set(parts)) < len(parts):
            raise RetinueError(
                f"{path}: the column {column} holds numbers that are no labels, such as {cell[:60]}; run lengths and "
                "coordinates are not read as labels: name another column with --columns label=NAME"
            )


def _are_joined(joined: Collection[str], cells: Collection[str], separator: str) -> bool:
    """Return whether it is certain that cells hold several labels."""
    parts = _counts(joined, separator)
    alone = {cell for cell in cells if len(_parts(cell, separator)) == 1}
    if separator == " " and all(part.isdecimal() for part in (*parts, *alone)):
        return True
    known = sum(part in alone for part in parts)
    if known >= NEARLY_ALL * len(parts):
        return True
    sets = Counter(frozenset(_parts(cell, separator)) for cell in joined)
    if max(sets.values()) > 1:  # the same parts in another order
        return True
    recurring = known or max(parts.values()) > 1
    if separator == " " and recurring and any("_" in part for part in parts):  # a blank within a label is written so
        return True
    widths = {len(_parts(cell, separator)) for cell in cells}
    return len(widths) > 1 and len(joined) >= MANY * len(parts)


def _may_be_joined(joined: Collection[str], cells: Collection[str], separator: str) -> bool:
    """Return whether most cells consist of parts that are labels of their own or recur in other cells."""
    parts = _counts(joined, separator)
    alone = {cell for cell in cells if len(_parts(cell, separator)) == 1}
    known = [all(part in alone or parts[part] > 1 for part in _parts(cell, separator)) for cell in joined]
    return sum(known) > MOST * len(joined)


def _counts(joined: Collection[str], separator: str) -> Counter[str]:
    """Return the number of cells that have each part."""
    return Counter(part for cell in joined for part in set(_parts(cell, separator)))


def _parts(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]

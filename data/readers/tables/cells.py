"""The numbers in the cells of a table."""

import re

NOT_GIVEN = ("", "nan", "none", "null", "na", "n/a", "no_box")  # pandas and others write these for an empty cell
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_NUMBERS = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_END_OF_BOX = re.compile(r"[;\])}]")


def parse_number(text: str, decimal_comma: bool) -> float | None:
    """Return the number in a cell, or None.

    Args:
        text: The cell.
        decimal_comma: Whether "16,5" is a number: where the cells are not separated by commas.
    """
    try:
        return float(text)
    except ValueError:
        if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        return None


def parse_box_cell(text: str) -> list[list[float]] | None:
    """Return the four numbers of each box in a cell such as "[1, 2, 3, 4]" or "1 2 3 4; 5 6 7 8", or None."""
    boxes = [_NUMBERS.findall(part) for part in _END_OF_BOX.split(text)]
    boxes = [numbers for numbers in boxes if numbers]
    if not boxes or any(len(numbers) != 4 for numbers in boxes):
        return None
    return [[float(number) for number in numbers] for numbers in boxes]

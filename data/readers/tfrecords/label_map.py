"""label_map.pbtxt: the names of the classes of the TF Object Detection API, by their ids."""

import re

from retinue.configs.errors import RetinueError
from retinue.data.readers.labeling_tools.annotated_images import clean_name

SUFFIXES = (".pbtxt", ".pbtxt.txt")
ITEM = re.compile(r"\bitem\s*:?\s*\{")
ID = re.compile(r"\bid\s*:\s*(-?\d+)")
TEXT = re.compile(r"""\b(name|display_name)\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
COMMENT = re.compile(r"""^((?:[^#"']|"[^"]*"|'[^']*')*)#.*$""", re.MULTILINE)
MACHINE_ID = re.compile(r"^/[mg]/\w+$")  # of Google's knowledge graph, as in the label maps of COCO and Open Images


def is_label_map(path: str) -> bool:
    """Return whether a file is a label map, and not a graph or something else in this notation."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return bool(ITEM.search(file.read(4096)))
    except OSError:
        return False


def read_label_map(path: str) -> dict[int, tuple[str, ...]]:
    """Return the names of each class by its id: the one that it is called by, then another that it may have.

    Args:
        path: The label map.

    Raises:
        RetinueError: It can't be read, an item lacks an id or a name, or two items have one id.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = COMMENT.sub(r"\1", file.read())
    except OSError as error:
        raise RetinueError(f"{path}: this file can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise RetinueError(f"{path}: this label map is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    names: dict[int, tuple[str, ...]] = {}
    for number, match in enumerate(ITEM.finditer(text), 1):
        item = _item_at(text, match.end())
        found = ID.search(item)
        texts = {key: clean_name(double or single) for key, double, single in TEXT.findall(item)}
        name, display_name = texts.get("name", ""), texts.get("display_name", "")
        if MACHINE_ID.match(name) and display_name:
            name, display_name = display_name, name
        if found is None or not (name or display_name):
            raise RetinueError(f"{path}: item {number} has no {'name' if found else 'id'}; add it")
        if int(found[1]) in names:
            raise RetinueError(f"{path}: two items have the id {found[1]}; give one of them another id")
        names[int(found[1])] = tuple(dict.fromkeys(part for part in (name, display_name) if part))
    if not names:
        raise RetinueError(f"{path}: this label map has no item; add one for each class")
    return dict(sorted(names.items()))


def _item_at(text: str, start: int) -> str:
    """Return the text from a position to the brace that closes it, without what is in braces within, as key points."""
    kept, depth = [], 0
    for position in range(start, len(text)):
        character = text[position]
        depth += (character == "{") - (character == "}")
        if depth < 0:
            break
        if not depth and character != "}":
            kept.append(character)
    return "".join(kept)

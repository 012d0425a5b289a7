"""Text files with boxes in formats of well-known data sets: recognized by their first lines, but not read."""

import os
import re
from collections.abc import Sequence

from retinue.data.readers.text_file import first_lines
from retinue.data.storage.file_names import looks_like_image

NUM_LINES = 5  # of a file that are looked at
MOT_NAMES = ("gt.txt", "det.txt")
TRACKING_NAMES = ("groundtruth.txt", "groundtruth_rect.txt")

_N = r"-?\d+(?:\.\d*)?(?:e-?\d+)?"  # a number
# What each of the first lines of a format looks like.
LINES = (
    ("KITTI", re.compile(rf"[A-Za-z_]\S* {_N} {_N} {_N}(?: {_N}){{11,12}}")),
    ("KITTI's tracking", re.compile(rf"\d+ -?\d+ [A-Za-z_]\S*(?: {_N}){{14,15}}")),
    ("NWPU VHR-10", re.compile(rf"\(\s*{_N}\s*,\s*{_N}\s*\)\s*,\s*\(\s*{_N}\s*,\s*{_N}\s*\)\s*,.*")),
    ("ICDAR", re.compile(rf"(?:{_N},\s*){{8}}\D.*")),
    ("UCAS-AOD", re.compile(rf"{_N}(?:\t{_N}){{12}}")),
)
_TRACK = re.compile(rf"\d+\s*,\s*-?\d+(?:\s*,\s*{_N}){{4,8}}")
_BOX_OF_FRAME = re.compile(rf"{_N}(?:[,\s]+{_N}){{3}}")
_FACE = re.compile(rf"{_N}(?:\s+{_N}){{3,10}}")
_COUNTED_BOX = re.compile(r"-?\d+ -?\d+ -?\d+ -?\d+(?: \S.*)?")


def text_kind(path: str) -> str:
    """Return the data set in whose format a text file has boxes, "" for none that is known."""
    lines = first_lines(path)[:NUM_LINES]
    if not lines:
        return ""
    if lines[0].startswith("% bbGt version"):
        return "Piotr's toolbox (bbGt)"
    name = os.path.basename(path).lower()
    for kind, pattern in LINES:
        if _all_match(pattern, lines):
            return kind
    if name in MOT_NAMES and _all_match(_TRACK, lines):
        return "MOT"
    if name in TRACKING_NAMES and _all_match(_BOX_OF_FRAME, lines):
        return "a tracking benchmark (a box of each frame)"
    if len(lines) > 2 and lines[1].isdecimal() and _FACE.fullmatch(lines[2]):
        if looks_like_image(lines[0]):
            return "WIDER FACE"
        return "FDDB" if "/" in lines[0] else ""
    if lines[0].isdecimal() and len(lines) > 1 and _all_match(_COUNTED_BOX, lines[1:]):
        return "BBox-Label-Tool or WiderPerson"
    return ""


def _all_match(pattern: re.Pattern[str], lines: Sequence[str]) -> bool:
    return all(pattern.fullmatch(line) for line in lines)

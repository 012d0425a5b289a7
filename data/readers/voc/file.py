"""One XML file of Pascal VOC: parsed in whatever encoding it has, with a reason for each object that is no box."""

import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field

from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.objects import object_location

ROOT = "annotation"
OTHER_SHAPES = ("polygon", "robndbox")  # what objects can have in place of a bndbox
HEAD = 4096  # bytes that are looked at to find the root of a file

_ROOT = re.compile(rb"<\s*([A-Za-z_][\w.:-]*)")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_PAIR, _SINGLE = re.compile(rb"[\x81-\xfe]{2}"), re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins

Box = tuple[float, float, float, float]
ParsedObject = tuple[str, Box, bool, int]  # class name, box, difficult, number in its file


@dataclass
class VocFile:
    """What an XML file says.

    Attributes:
        path: The file.
        image_name: The name of its image, "" for none.
        size: Height and width of the image in pixels, 0 where it gives none.
        objects: Its objects.
        findings: What is wrong with it; the file of each is "", since only the dataset knows the path of the image.
        problem: Why it can't be read, "" if it can.
        is_other: Whether it is XML of another kind.
    """

    path: str
    image_name: str = ""
    size: tuple[float, float] = (0, 0)
    objects: list[ParsedObject] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problem: str = ""
    is_other: bool = False


def is_voc_file(path: str) -> bool:
    """Return whether the root of an XML file is that of Pascal VOC's annotations, by the beginning of the file."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    if head.startswith(_WIDE):
        head = head.decode("utf-16", "ignore").encode()
    for match in _ROOT.finditer(re.sub(rb"<!--.*?-->", b"", head, flags=re.DOTALL)):
        return match.group(1).lower() == ROOT.encode()
    return False


def shape_instead_of_boxes(paths: Sequence[str]) -> str:
    """Return the shape that all objects of some XML files have in place of a bndbox: "polygon", "robndbox" or ""."""
    parsed = [parse_voc_file(path, path) for path in paths]
    reasons = [finding.reason for file in parsed for finding in file.findings if finding.kind == "not a box"]
    if not reasons or any(file.objects for file in parsed):
        return ""
    return next((shape for shape in OTHER_SHAPES if all(f"it has a {shape}, " in reason for reason in reasons)), "")


def parse_voc_file(path: str, location: str) -> VocFile:
    """Parse an XML file of Pascal VOC.

    VOC counts pixels from 1 and includes the last one, so xmin, ymin, xmax, ymax become xmin - 1, ymin - 1, xmax, ymax.
    The parts of an object are not read as objects.

    Args:
        path: The file.
        location: Where it is, for messages.
    """
    parsed = VocFile(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
        root, encoding = _parse_xml(content)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        parsed.problem = f"its annotation {path} can't be read ({error})"
        return parsed
    if root.tag.lower() != ROOT:
        parsed.problem = f"it is not an annotation of Pascal VOC: its outermost element is {root.tag}"
        parsed.is_other = True
        return parsed
    if encoding:
        reason = f"{location}: it is not in the encoding that it declares, nor in UTF-8; read as {encoding}"
        parsed.findings.append(Finding(WARNING, "odd encoding", "", location, reason, "check the names of the classes"))
    parsed.image_name = os.path.basename((root.findtext("filename") or "").strip().replace("\\", "/"))
    parsed.size = (_parse_number(root.findtext("size/height")) or 0, _parse_number(root.findtext("size/width")) or 0)
    for number, entry in enumerate(root.findall("object"), 1):
        item = object_location("voc", number, location)
        problem, taken = _parse_object(entry)
        if taken:
            parsed.objects.append((*taken, number))
        else:
            kind = "box of a single click" if "single click" in problem else "not a box"
            cure = "skipped; draw it again" if "single click" in problem else "skipped; correct it"
            parsed.findings.append(Finding(INVALID, kind, "", item, f"{item}: {problem}", cure))
    return parsed


def _parse_object(entry: ElementTree.Element) -> tuple[str, tuple[str, Box, bool] | None]:
    """Return what is wrong with an object, or else its class, its box and whether it is difficult."""
    name = (entry.findtext("name") or "").strip()
    if not name:
        return "it has no name", None
    box = entry.find("bndbox")
    if box is None:
        shape = next((tag for tag in OTHER_SHAPES if entry.find(tag) is not None), "")
        return f"it has a {shape}, but no bndbox" if shape else "it has no bndbox", None
    x1, y1, x2, y2 = (_parse_number(box.findtext(corner)) for corner in ("xmin", "ymin", "xmax", "ymax"))
    if x1 is None or y1 is None or x2 is None or y2 is None:
        return "its bndbox lacks a number", None
    if x1 == x2 or y1 == y2:
        side = "xmin = xmax" if x1 == x2 else "ymin = ymax"
        return f"its box {x1:g}, {y1:g}, {x2:g}, {y2:g} is that of a single click ({side})", None
    return "", (name, (x1 - 1, y1 - 1, x2, y2), _parse_number(entry.findtext("difficult")) == 1)


def _parse_xml(content: bytes) -> tuple[ElementTree.Element, str]:
    """Parse XML, without its namespaces.

    Returns:
        The root; and the encoding that was found by trying, "" where it is the declared one or UTF-8.

    Raises:
        ElementTree.ParseError: It is not XML in any encoding.
    """
    found = ""
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # expat knows few encodings
        text, found = _decode(content)
        if not text:
            raise ElementTree.ParseError(str(error)) from None
        root = ElementTree.fromstring(text)
    if root.tag.startswith("{"):
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
    return root, found


def _decode(content: bytes) -> tuple[str, str]:
    """Return the text of XML in an encoding that expat doesn't know; and the encoding, if it had to be guessed.

    The text is "" where another encoding can't be the reason why it was not parsed.
    """
    declared = _DECLARED.match(content)
    name = declared.group(1).decode().lower() if declared else "utf-8"
    try:
        text = content.decode(name)
        return (text, "") if declared and name not in ("utf-8", "utf8") else ("", "")
    except (UnicodeDecodeError, LookupError):
        pass
    is_chinese = len(_PAIR.findall(content)) > len(_SINGLE.findall(content))  # two bytes a letter; accents are single
    for encoding in ("utf-8", *(("gb18030",) if is_chinese else ()), "cp1252", "latin-1"):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return "", ""


def _parse_number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None

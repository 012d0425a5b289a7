"""One word for one thing: retired words do not come back into the code, its messages, the help texts or the docs."""

import re
from pathlib import Path

import pytest

from retinue.configs.load import describe_keys
from retinue.configs.renamed_keys import RENAMED_KEYS

ROOT = Path(__file__).parents[1]
SPELLING = (
    r"(normal|initial|factor|quant|regular|recogn|visual|summar|serial|optim|randomn?|raster|discret|general)is(e|es|ed|er|"
    r"ers|ing|ation|ations)"
)
# What each pattern is called now. Patterns ignore case and match within identifiers, whose parts `_` separates.
RETIRED = {
    r"pictures?": "image",
    r"photos?": "image",
    r"nets?": "model, or network in the name of a paper",
    r"learnt": "trained",
    r"held[ _-](out|back)": "validation or test",
    r"share of": "fraction of",
    r"(to the last bit|the same bits)": "bit-identical",
    r"(take|takes|took) up again": "resume",
    r"(leave|left|leaves) away": "omit, remove",
    r"(mend|mends|mended)": "fix",
    r"mix[- ]ups?": "confusion",
    r"headlines?": "primary metric",
    r"under way": "in flight",
    r"(said|told)": "reported, printed, or the thing itself",
    r"rooms?": "package, module; for memory and disks: space",
    r"droppings?": "OS metadata files",
    r"colour\w*": "color",
    r"(grey|centre|centres|centred|neighbours?|neighbouring|behaviours?|favour\w*|licen[c]es?|catalogues?)": "American",
    SPELLING: "American spelling: -ize",
}
# Files in which a retired word has its right meaning, and why.
EXCEPTIONS = {
    ("README.md", "photos?"): "a camera's files: your photos",
    ("data/readers/tables/columns.py", "photos?"): "a usual name of the column of files",
    ("data/readers/tables/files.py", "photos?"): "a usual name of a folder of images",
    ("data/readers/class_folders/layout.py", "photos?"): "a usual name of a folder of images",
    ("data/readers/masks/names.py", "photos?"): "a usual name of a folder of images",
    ("data/storage/file_names.py", "photos?"): "a usual name of a folder of images",
    ("tests/data/readers/masks/test_mask_layouts.py", "photos?"): "a usual word in the names of images",
    ("tests/helpers/disks.py", "photos?"): "file names, by which the split is drawn",
    ("tests/test_cli.py", SPELLING): "a mistyped key",
}
SOURCES = [
    path for pattern in ("*.md", "*.py", "docs/**/*.md", "configs/recipes/*.yaml") for path in ROOT.glob(pattern)
] + [
    path
    for package in ("backbones", "cli", "configs", "data", "explain", "pipeline", "tasks", "tests", "benchmarks")
    for path in (ROOT / package).rglob("*.py")
]
OWN = {"tests/test_words.py", "configs/renamed_keys.py", "explain/imagenet_classes.py"}  # they quote words of others


def retired_words(text: str) -> list[tuple[str, int, str]]:
    """Return (pattern, line, word) of every retired word in a text."""
    found = []
    for pattern in RETIRED:
        for match in re.finditer(rf"(?<![A-Za-z])({pattern})(?![A-Za-z])", text, re.IGNORECASE):
            found.append((pattern, text.count("\n", 0, match.start()) + 1, match.group()))
    return found


def all_retired_words() -> list[str]:
    lines = []
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        if name in OWN:
            continue
        for pattern, line, word in retired_words(path.read_text(encoding="utf-8")):
            if (name, pattern) not in EXCEPTIONS:
                lines.append(f"{name}:{line}: {word} -> {RETIRED[pattern]}")
    return lines


def test_no_retired_word_is_left():
    assert all_retired_words() == []


def test_no_retired_key_is_left():
    known = {row["key"] for row in describe_keys()}
    assert known.isdisjoint(RENAMED_KEYS)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a picture", 1),
        ("picture_size", 1),
        ("the network of ImageNet", 0),
        ("net = build()", 1),
        ("colours", 1),
        ("color", 0),
    ],
)
def test_retired_words_are_found(text, count):
    assert len(retired_words(text)) == count

"""The guides name only files, configuration keys and options that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from retinue.cli.main import commands
from retinue.configs.load import describe_keys
from retinue.configs.renamed_keys import RENAMED_KEYS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("pipeline", "tasks", "data", "explain", "backbones", "configs", "cli", "tests", "benchmarks", "docs")
KEYS = {row["key"] for row in describe_keys()}  # with train.stages.<stage> for a stage of any name
SECTIONS = {key.partition(".")[0] for key in KEYS if "." in key}
# Names that look like keys of a section: methods of Keras, and files of an exported model.
NOT_KEYS = {"model.fit", "model.predict", "model.xml", "model.bin", "model.onnx", "model.tflite"}
REMOVED_COMMANDS = {"pack"}  # docs/design.md says why it was removed
CODE_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
KEY = re.compile(rf"\b(?<![./])((?:{'|'.join(sorted(SECTIONS))})\.[A-Za-z0-9_.]*[a-z0-9_])(?![\w/(*])")
FILE_SUFFIXES = (".py", ".yaml", ".csv", ".record", ".txt")


def is_key(name: str) -> bool:
    """Return whether a dotted name is a configuration key or a section. A stage may have any name."""
    name = re.sub(r"^train\.stages\.[^.]+", "train.stages.<stage>", name)
    return any(key == name or key.startswith(f"{name}.") for key in KEYS)


def missing_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead to no file."""
    links = LINK.findall(CODE_BLOCK.sub("", page.read_text(encoding="utf-8")))
    relative = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
    return [link for link in relative if link and not (page.parent / link).exists()]


def wrong_keys(text: str) -> list[str]:
    """Return the names in the inline code and the commands of a page that look like keys and are none."""
    pieces = [*INLINE_CODE.findall(CODE_BLOCK.sub("", text)), *re.findall(r"--set (\S+)", text)]
    found = [name for piece in pieces for name in KEY.findall(piece)]
    return [name for name in found if name not in NOT_KEYS and not name.endswith(FILE_SUFFIXES) and not is_key(name)]


def commands_of(text: str) -> list[list[str]]:
    """Return the words of every `retinue ...` command in the code blocks and the inline code of a page."""
    blocks = "\n".join(CODE_BLOCK.findall(text)).replace("\\\n", " ")
    lines = blocks.splitlines() + INLINE_CODE.findall(CODE_BLOCK.sub("", text))
    found = []
    for line in lines:
        start = re.match(r"\s*(retinue [a-z-].*)", line)
        if start:
            found.append(shlex.split(start.group(1), comments=True))
    return found


def wrong_options(words: list[str]) -> list[str]:
    """Return the command of a `retinue ...` line if it does not exist, or else its options that do not exist."""
    names = [word for word in words[1:] if not word.startswith("-")]
    command = commands.commands.get(names[0]) if names else commands
    if command is None or command.hidden:
        return [] if names[0] in REMOVED_COMMANDS else names[:1]
    words, nested = _split_at_dashes(words)
    visible = [option for option in (*commands.params, *command.params) if not getattr(option, "hidden", False)]
    known = {name for option in visible if isinstance(option, click.Option) for name in option.opts} | {"--help"}
    wrong = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    return wrong + (wrong_options(["retinue", *nested]) if nested else [])


def missing_files(text: str) -> list[str]:
    """Return the Python files named on a page, by their path from the root, that do not exist."""
    paths = re.findall(rf"(?<![\w/.])((?:{'|'.join(PACKAGES)})/[\w/]*\w\.py)\b", text)
    return [path for path in paths if not (ROOT / path).is_file()]


def _split_at_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    """Split `launch --workers 2 -- train ...` into the words before and after the dashes."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    assert missing_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_key_exists(page):
    assert wrong_keys(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_of_a_command_exists(page):
    wrong = {" ".join(words): wrong_options(words) for words in commands_of(page.read_text(encoding="utf-8"))}
    assert {command: options for command, options in wrong.items() if options} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_file_exists(page):
    assert missing_files(page.read_text(encoding="utf-8")) == []


def test_mistakes_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("[a](missing.md) [b](page.md#part) [c](https://example.org/x)")
    assert missing_links(page) == ["missing.md"]
    assert wrong_keys("`train.epochs` and `train.batch_size=8`, `--set data.fold=2`, `tasks/task.py`") == [
        "train.epochs"
    ]
    assert wrong_keys("`train.stages.warm.learning_rate: 0.1` and `train.stages.warm.rate`") == [
        "train.stages.warm.rate"
    ]
    assert missing_files("`tasks/task.py` and tasks/missing.py") == ["tasks/missing.py"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("retinue predict RUN new/ --out results --window 2", []),
        ("retinue predict RUN new/ --out results --step 1", ["--step"]),
        ("retinue launch --workers 2 -- train DATA --auto-resume", []),
        ("retinue launch --workers 2 -- train DATA --restart", ["--restart"]),
        ("retinue inspect resnet50", ["inspect"]),
        ("retinue -q check data/", []),
    ],
)
def test_wrong_options_are_found(line, wrong):
    (words,) = commands_of(f"```\n{line}   # a comment\n```\n")
    assert wrong_options(words) == wrong


def test_retired_keys_are_no_keys():
    assert [name for name in RENAMED_KEYS if is_key(name)] == []

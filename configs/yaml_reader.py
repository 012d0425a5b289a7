"""Reading YAML with the line number of every key."""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from retinue.configs.errors import UsageError, first_line
from retinue.configs.keys import KeyPath, to_yaml_line

Origin = tuple[int, str]  # a sort key, which is the line number in a file, and where a value comes from: "FILE:LINE"


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with two exceptions: 1e-3 is a number instead of text, and 2024-01-31 is text instead of a date."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


def parse_value(setting: str, text: str) -> Any:
    """Parse the value of `--set KEY=VALUE`.

    Args:
        setting: The whole setting, for the error message.
        text: The value as YAML.

    Raises:
        UsageError: If the text is not valid YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"--set {setting}: the value is not valid YAML: {_yaml_problem(error)}") from None


def read_yaml(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[KeyPath, Origin]]:
    """Read a configuration file.

    Args:
        path: A YAML file.

    Returns:
        The content as plain data, and the origin of each key. Both are empty for an empty file.

    Raises:
        UsageError: If the file cannot be read, is not valid YAML, has a key twice or consists of something else than
            keys and values.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: the line contains bytes that are not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise UsageError(
            f"{path}: the file cannot be read ({error.strerror}); check its path and permissions"
        ) from None
    origins: dict[KeyPath, Origin] = {}
    try:
        content = yaml.load(text, _Loader)
        root = yaml.compose(text, _Loader)
        if isinstance(root, yaml.MappingNode):
            _collect_lines(root, (), path, origins)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line_suffix = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line_suffix}: the file is not valid YAML: {_yaml_problem(error)}") from None
    if content is None:
        return {}, {}
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}:1: a recipe consists of lines `key: value`, but this file contains {shorten(content)}"
        )
    return content, origins


def shorten(value: object) -> str:
    """Write a value for an error message: as YAML on one line of at most 60 characters, or "empty" for None."""
    if value is None:
        return "empty"
    text = to_yaml_line(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _yaml_problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return getattr(error, "problem", None) or first_line(error)


def _collect_lines(
    node: yaml.MappingNode, prefix: KeyPath, path: str | os.PathLike[str], origins: dict[KeyPath, Origin]
) -> None:
    """Add the origin of every key below `node` to `origins`."""
    seen = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        key_path = (*prefix, str(key.value))
        if key.value in seen:
            raise UsageError(f"{path}:{line}: the key {'.'.join(key_path)} occurs twice; remove one of them")
        seen.add(key.value)
        origins[key_path] = (line, f"{path}:{line}")
        if isinstance(value, yaml.MappingNode):
            _collect_lines(value, key_path, path, origins)

"""Loading the configuration: recipes, files and `--set` are merged and validated.

An error names the file, the line and the nearest right key.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from retinue.configs.errors import UsageError
from retinue.configs.keys import (
    STAGES,
    KeyPath,
    all_fields,
    describe_type,
    find_field,
    is_section,
    suggest_key,
    to_yaml_line,
)
from retinue.configs.renamed_keys import has_renamed_key, new_name, new_value
from retinue.configs.schema import Config
from retinue.configs.suggestions import did_you_mean
from retinue.configs.yaml_reader import Origin, parse_value, read_yaml, shorten

RECIPE_FOLDER = Path(__file__).parent / "recipes"
AFTER_FILE = 10**9  # sort key of options and --set, whose errors follow those of the lines of the file


def recipes() -> dict[str, str]:
    """List the recipes of the package.

    Returns:
        The first line of each recipe, which is a comment that says what the recipe is for, by the recipe's name.
    """
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for path in sorted(RECIPE_FOLDER.glob("*.yaml"))
    }


def describe_keys() -> list[dict[str, str]]:
    """Describe every key of the configuration.

    Returns:
        A dict for each key: `key` (dotted), `type` (the values that it takes), `default` and `description`.
        A key of the stages, such as train.stages.<stage>.learning_rate, has the values of the default stages as its
        default.
    """
    stages = Config().train.stages
    rows = []
    for path, field in all_fields():
        if is_section(field):
            continue
        if path[:2] == STAGES:
            default = ", ".join(f"{name} {to_yaml_line(getattr(stage, path[-1]))}" for name, stage in stages.items())
        else:
            default = to_yaml_line(field.default)
        rows.append(
            {
                "key": ".".join(path),
                "type": describe_type(field),
                "default": default,
                "description": field.description or "",
            }
        )
    return rows


def load_config(
    recipe: str | None = None, settings: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> Config:
    """Merge and validate a configuration.

    Args:
        recipe: Name of a recipe, or path of a YAML file. None stands for the defaults.
        settings: Strings "key=value" with dotted keys and values in YAML. They override everything else.
        options: Values of command-line options by dotted keys. They override the recipe.

    Returns:
        The validated configuration.

    Raises:
        UsageError: If a key is unknown, or a value has a wrong type or is out of range.
    """
    merged: dict[str, Any] = {}
    origins: dict[KeyPath, Origin] = {}
    if recipe:
        merged, origins = read_yaml(_recipe_path(recipe))
    for key, value in (options or {}).items():
        _assign(merged, origins, key.split("."), value, f"option for {key}")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {setting}: write it as key=value, for example --set train.batch_size=16")
        _assign(merged, origins, key.split("."), parse_value(setting, text), f"--set {setting}")
    return _validate(merged, origins)


def load_saved_config(path: str | os.PathLike[str]) -> Config:
    """Read the configuration that a run folder or an exported model contains.

    Args:
        path: The file `config.yaml` of the folder.

    Returns:
        The validated configuration.

    Raises:
        UsageError: As for `load_config`, and if the file was written by retinue 0.1, whose keys had other names.
    """
    merged, origins = read_yaml(path)
    if has_renamed_key(merged):
        raise UsageError(
            f"{Path(path).parent}: this folder was made by retinue 0.1, whose configuration keys had other names; "
            "train the model again, or open the folder with retinue 0.1"
        )
    return _validate(merged, origins)


def to_yaml(config: Config) -> str:
    """Write a configuration as YAML text, from which `load_saved_config` and `load_config` read an equal one."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text


def _recipe_path(recipe: str) -> Path:
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise UsageError(f"--recipe {recipe}: there is no such recipe file; correct the path")
    known = recipes()
    if recipe in known:
        return RECIPE_FOLDER / f"{recipe}.yaml"
    hint = did_you_mean(recipe, known, limit=1, cutoff=0.5)
    raise UsageError(f"--recipe {recipe}: there is no recipe of this name{hint} (`retinue recipes` lists them)")


def _assign(
    merged: dict[str, Any], origins: dict[KeyPath, Origin], keys: Sequence[str], value: object, source: str
) -> None:
    """Set a dotted key. If it changes a stage and no stages are configured yet, the default stages are added first."""
    if tuple(keys[:2]) == STAGES and len(keys) > 2:
        train = merged.setdefault("train", {})
        if isinstance(train, dict):
            train.setdefault("stages", Config().model_dump()["train"]["stages"])
    section = merged
    for key in keys[:-1]:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            raise UsageError(f"{source}: {key} is a value, not a section with keys of its own")
    section[keys[-1]] = value
    for depth in range(1, len(keys) + 1):
        origins[tuple(keys[:depth])] = (AFTER_FILE + len(origins), source)


def _validate(merged: dict[str, Any], origins: dict[KeyPath, Origin]) -> Config:
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        explained = sorted({_explain(problem, merged, origins) for problem in error.errors()})
        raise UsageError("\n".join(line for _, line in explained)) from None


def _explain(problem: ErrorDetails, merged: dict[str, Any], origins: dict[KeyPath, Origin]) -> Origin:
    """Return the sort key and the message for one of pydantic's errors."""
    path, field = find_field([part if part != "[key]" else "" for part in problem["loc"]])
    is_unknown = problem["type"] in ("extra_forbidden", "invalid_key")
    names = tuple(map(str, problem["loc"] if is_unknown else path))
    order, origin = _origin(names, origins)
    key = ".".join(names)
    if problem["type"] == "extra_forbidden" and new_name(names):
        return order, f"{origin}: {key} was renamed to {new_name(names)}"
    if is_unknown or field is None:
        return order, f"{origin}: unknown key {key}{suggest_key(names, _stage_names(merged))}"
    if problem["loc"][-1] == "[key]":
        return order, f"{origin}: the name of a stage must be text; write it in quotes"
    if problem["type"] == "missing" and path == problem["loc"]:
        return order, f"{origin}: {key} is missing. It must be {describe_type(field)}. {field.description}"
    replaced_by = new_value(names, problem["input"])
    if replaced_by:
        return order, f"{origin}: {key}={problem['input']} was renamed to {key}={replaced_by}"
    is_own_check = problem["type"] == "value_error"
    expected = problem["msg"].removeprefix("Value error, ") if is_own_check else describe_type(field)
    return order, f"{origin}: {key} must be {expected}, not {shorten(_value_at(path, merged))}"


def _origin(names: KeyPath, origins: dict[KeyPath, Origin]) -> Origin:
    """Return the origin of a key, or of the nearest section above it that has one."""
    known = next((names[:end] for end in range(len(names), 0, -1) if names[:end] in origins), None)
    return origins[known] if known else (0, "configuration")


def _value_at(path: Sequence[str | int], merged: dict[str, Any]) -> object:
    value: Any = merged
    for part in path:
        value = value[part]
    return value


def _stage_names(merged: dict[str, Any]) -> list[str]:
    """Return the names of the configured stages, or of the default ones if none are configured."""
    train = merged.get("train")
    stages = train.get("stages") if isinstance(train, dict) else None
    return [str(name) for name in stages] if isinstance(stages, dict) and stages else list(Config().train.stages)

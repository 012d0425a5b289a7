"""Merging a configuration: recipe <- file <- `--set`, with errors that name file, line and nearest right key."""

import difflib
import re
from pathlib import Path

import yaml
from pydantic import ValidationError

from retinue.configs.errors import UsageError
from retinue.configs.keys import STAGES, all_fields, expected, find_field, in_yaml, is_section, nearest_key
from retinue.configs.renamed import has_renamed_key, new_name, new_value
from retinue.configs.schema import Config

FOLDER = Path(__file__).parent
AFTER_FILE = 10**9  # options and --set are told after the lines of the file


def recipes():
    """The recipes of the package: dict from name to its first line, which is a comment that says what it is for."""
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for path in sorted(FOLDER.glob("*.yaml"))
    }


def describe_keys():
    """A dict a key, of strings: `key` (dotted), `type` (what it takes, in words), `default`, `description`.

    A key of the stages, as train.stages.<stage>.learning_rate, has the values of the default stages as its default.
    """
    stages = Config().train.stages
    rows = []
    for place, field in all_fields():
        if is_section(field):
            continue
        default = in_yaml(field.default) if place[:2] != STAGES else ""
        default = default or ", ".join(f"{name} {in_yaml(getattr(stage, place[-1]))}" for name, stage in stages.items())
        rows.append(
            {
                "key": ".".join(place),
                "type": expected(field),
                "default": default,
                "description": field.description or "",
            }
        )
    return rows


def load_config(recipe=None, settings=(), options=None):
    """The validated `Config`.

    recipe: a recipe's name, or the path of a YAML file; None for the defaults.
    settings: strings "key=value" with dotted keys, the values as YAML.
    options: dict of dotted keys from command-line options, applied last but for `settings`.
    Raises UsageError for an unknown key, a wrong type or a value out of range.
    """
    merged, origins = {}, {}
    if recipe:
        path = _recipe_path(recipe)
        merged, origins = _read_yaml(path)
    for key, value in (options or {}).items():
        _assign(merged, origins, key.split("."), value, f"option for {key}")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {setting}: write it as key=value, for instance --set train.batch_size=16")
        try:
            value = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UsageError(f"--set {setting}: the value is not valid YAML: {_yaml_problem(error)}") from None
        _assign(merged, origins, key.split("."), value, f"--set {setting}")
    return _validate(merged, origins)


def load_recorded(path):
    """The `Config` that a run or an export keeps in the file `path`.

    Raises UsageError as `load_config` does, and for a run of retinue 0.1, whose keys had other names.
    """
    merged, origins = _read_yaml(path)
    if has_renamed_key(merged):
        raise UsageError(
            f"{Path(path).parent}: this folder was made by retinue 0.1, whose configuration keys had other names; "
            "train the model again, or open the folder with retinue 0.1"
        )
    return _validate(merged, origins)


def to_yaml(config):
    """The whole configuration as YAML text, which `load_recorded` and `load_config` read back to an equal `Config`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _recipe_path(recipe):
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise UsageError(f"{recipe}: there is no such recipe file")
    if recipe in recipes():
        return FOLDER / f"{recipe}.yaml"
    raise UsageError(f"--recipe {recipe}: unknown recipe{_nearest(recipe, recipes())}; `retinue recipes` lists them")


def _read_yaml(path):
    """The file as plain data, and a dict from key path to its origin: (line, "file:line")."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: a letter that is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    origins = {}
    try:
        content = yaml.load(text, _Loader)
        if isinstance(content, dict):
            _collect_lines(yaml.compose(text, _Loader), (), path, origins)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: not valid YAML: {_yaml_problem(error)}") from None
    if content is None:
        return {}, {}
    if not isinstance(content, dict):
        raise UsageError(f"{path}:1: a recipe has lines `key: value`; this one is {_shown((), content)}")
    return content, origins


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-3 is a number (there it is text), and 2024-01-31 is text (there it is a date)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


def _yaml_problem(error):
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return getattr(error, "problem", None) or str(error).split("\n")[0]


def _collect_lines(node, prefix, path, origins):
    seen = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        place = (*prefix, str(key.value))
        if key.value in seen:
            raise UsageError(f"{path}:{line}: {'.'.join(place)} is given twice")
        seen.add(key.value)
        origins[place] = (line, f"{path}:{line}")
        if isinstance(value, yaml.MappingNode):
            _collect_lines(value, place, path, origins)


def _assign(merged, origins, keys, value, origin):
    """Set a dotted key. A stage that is changed but not listed yet takes the default stages with it."""
    if tuple(keys[:2]) == STAGES and len(keys) > 2:
        train = merged.setdefault("train", {})
        if isinstance(train, dict):
            train.setdefault("stages", Config().model_dump()["train"]["stages"])
    level = merged
    for key in keys[:-1]:
        level = level.setdefault(key, {})
        if not isinstance(level, dict):
            raise UsageError(f"{origin}: {key} is a value, not a section with keys of its own")
    level[keys[-1]] = value
    for depth in range(1, len(keys) + 1):
        origins[tuple(keys[:depth])] = (AFTER_FILE + len(origins), origin)


def _validate(merged, origins):
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        told = sorted({_explain(problem, merged, origins) for problem in error.errors()})
        raise UsageError("\n".join(line for _, line in told)) from None


def _explain(problem, merged, origins):
    """(its place in the order of lines, the sentence) for one of pydantic's errors."""
    place, field = find_field(tuple(part if part != "[key]" else "" for part in problem["loc"]))
    names = tuple(map(str, problem["loc"] if problem["type"] in ("extra_forbidden", "invalid_key") else place))
    order, origin = _origin(names, origins)
    key = ".".join(names)
    if problem["type"] == "extra_forbidden" and new_name(names):
        return order, f"{origin}: {key} was renamed to {new_name(names)}"
    if problem["type"] in ("extra_forbidden", "invalid_key"):
        return order, f"{origin}: unknown key {key}{nearest_key(names, _stage_names(merged))}"
    if problem["loc"][-1] == "[key]":
        return order, f"{origin}: the name of a stage must be text; write it in quotes"
    if problem["type"] == "missing" and place == problem["loc"]:
        return order, f"{origin}: {key} is missing. It must be {expected(field)}. {field.description}"
    message = problem["msg"].removeprefix("Value error, ") if problem["type"] == "value_error" else None
    value = new_value(names, problem["input"])
    if value:
        return order, f"{origin}: {key}={problem['input']} was renamed to {key}={value}"
    return order, f"{origin}: {key} must be {message or expected(field)}, not {_shown(place, merged)}"


def _origin(names, origins):
    known = next((names[:end] for end in range(len(names), 0, -1) if names[:end] in origins), None)
    return origins[known] if known else (0, "configuration")


def _shown(place, merged):
    """The value at a key as it was given, shortly."""
    value = merged
    for part in place:
        value = value[part]
    if value is None:
        return "empty"
    text = in_yaml(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _stage_names(merged):
    """The stages as given, else the default ones."""
    train = merged.get("train")
    given = train.get("stages") if isinstance(train, dict) else None
    return [str(name) for name in given] if isinstance(given, dict) and given else list(Config().train.stages)


def _nearest(name, names):
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""

"""Merging a configuration: recipe <- file <- `--set`, with errors that name file, line and nearest right key."""

import difflib
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from retinue.configs.errors import UsageError
from retinue.configs.schema import Config

FOLDER = Path(__file__).parent
REPLACED_WHOLE = {("train", "stages")}  # a file that lists stages means these and no others


def recipes():
    """The recipes of the package: dict from name to its first line, which is a comment that says what it is for."""
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for path in sorted(FOLDER.glob("*.yaml"))
    }


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
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {setting}: the value is not valid YAML ({error})") from None
        _assign(merged, origins, key.split("."), value, f"--set {setting}")
    return _validate(merged, origins)


def to_yaml(config):
    """The whole configuration as YAML text, which `load_config` reads back to an equal `Config`."""
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
    """The file as plain data, and a dict from key path to "file:line"."""
    text = Path(path).read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if content is None:
        return {}, {}
    if not isinstance(content, dict):
        raise UsageError(f"{path}:1: a recipe is a list of `key: value` lines, not {type(content).__name__}")
    origins = {}
    _collect_lines(node, (), path, origins)
    return content, origins


def _collect_lines(node, prefix, path, origins):
    seen = set()
    for key, value in node.value:
        place = (*prefix, str(key.value))
        if key.value in seen:
            raise UsageError(f"{path}:{key.start_mark.line + 1}: {'.'.join(place)} is given twice")
        seen.add(key.value)
        origins[place] = f"{path}:{key.start_mark.line + 1}"
        if isinstance(value, yaml.MappingNode):
            _collect_lines(value, place, path, origins)


def _assign(merged, origins, keys, value, origin):
    """Set a dotted key. A stage that is changed but not listed yet takes the default stages with it."""
    if tuple(keys[:2]) in REPLACED_WHOLE and len(keys) > 2:
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
        origins[tuple(keys[:depth])] = origin


def _validate(merged, origins):
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(problem, origins) for problem in error.errors())) from None


def _explain(problem, origins):
    place = tuple(str(part) for part in problem["loc"])
    origin = next((origins[place[:end]] for end in range(len(place), 0, -1) if place[:end] in origins), "configuration")
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        return f"{origin}: unknown key {key}{_nearest_key(place)}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = "" if isinstance(given, (dict, BaseModel)) or problem["type"] == "missing" else f" (given: {given!r})"
    return f"{origin}: {key}: {message[0].lower()}{message[1:]}{shown}"


def _nearest_key(place):
    """The right key to name for a wrong one: in its own section first, then anywhere."""
    everywhere = list(_all_keys(Config, ()))
    section = [key for key in everywhere if key[:-1] == _generic(place[:-1])]
    close = difflib.get_close_matches(place[-1], [key[-1] for key in section], n=1, cutoff=0.6)
    if close:
        return f"; did you mean {'.'.join((*place[:-1], close[0]))}?"
    same_name = [key for key in everywhere if key[-1] == place[-1]]
    if not same_name:
        close = difflib.get_close_matches(place[-1], [key[-1] for key in everywhere], n=1, cutoff=0.7)
        same_name = [key for key in everywhere if close and key[-1] == close[0]]
    if same_name:
        return f"; did you mean {'.'.join(same_name[0])}?"
    names = ", ".join(key[-1] for key in section)
    return f"; {'.'.join(place[:-1]) or 'the top level'} has: {names}" if names else ""


def _generic(place):
    """A stage's own name stands for any stage."""
    return ("train", "stages", "<stage>", *place[3:]) if place[:2] == ("train", "stages") and len(place) > 2 else place


def _all_keys(model, prefix):
    from retinue.configs.schema import Stage

    for name, field in model.model_fields.items():
        yield (*prefix, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _all_keys(field.annotation, (*prefix, name))
        elif name == "stages":
            yield from _all_keys(Stage, (*prefix, name, "<stage>"))


def _nearest(name, names):
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""

"""The keys of the configuration: what values each one takes, and the right key for a wrong one."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from retinue.configs.schema import Config, Stage
from retinue.configs.suggestions import suggestion

KeyPath = tuple[str, ...]  # a dotted key in its parts: ("train", "batch_size")

STAGES: KeyPath = ("train", "stages")
ANY_STAGE = "<stage>"
SYNONYMS = {"lr": "learning_rate", "image_size": "input_size"}  # names that users of other libraries type
TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
LIMIT_PHRASES = {"ge": "of at least {}", "gt": "above {}", "lt": "below {}", "le": "at most {}"}


def all_fields(model: type[BaseModel] = Config, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, FieldInfo]]:
    """Iterate over all keys and sections of the configuration.

    Args:
        model: The section to begin with.
        prefix: The path of this section.

    Yields:
        The path and the pydantic field of each. In paths, `<stage>` stands for the name of any stage.
    """
    for name, field in model.model_fields.items():
        path = (*prefix, name)
        yield path, field
        if path == STAGES:
            yield (*path, ANY_STAGE), field
            yield from all_fields(Stage, (*path, ANY_STAGE))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_fields(field.annotation, path)


def is_section(field: FieldInfo) -> bool:
    """Return whether a field is a section with keys of its own. The dictionary of stages counts as one."""
    annotation = field.annotation
    return get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel))


def find_field(path: Sequence[str | int]) -> tuple[tuple[str | int, ...], FieldInfo | None]:
    """Find the key that a validation error is about.

    Args:
        path: The location of the error in the configuration, which may lie below a key, for example in a list.

    Returns:
        The path of the key and its field, or the whole `path` and None if no part of it is a key.
    """
    fields = dict(all_fields())
    for end in range(len(path), 0, -1):
        field = fields.get(_any_stage(tuple(map(str, path[:end]))))
        if field:
            return tuple(path[:end]), field
    return tuple(path), None


def describe_type(field: FieldInfo) -> str:
    """Describe the values that a key takes, for example "a number from 0 to 1"."""
    if get_origin(field.annotation) is tuple:
        return f"{_describe(field.annotation, field.metadata)}, for example {to_yaml_line(field.default)}"
    return _describe(field.annotation, field.metadata)


def to_yaml_line(value: object) -> str:
    """Write a value as it stands in a recipe, on one line."""
    value = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()


def suggest_key(path: KeyPath, stages: Sequence[str]) -> str:
    """Suggest the right key for an unknown one.

    Args:
        path: The unknown key.
        stages: The names of the configured stages. A suggested key of a stage names the last of them.

    Returns:
        A clause to append to an error message: the most similar key, or else the keys of the section.
    """
    keys = [key for key, _ in all_fields()]
    parent = _any_stage(path[:-1])
    section = [key for key in keys if key[:-1] == parent]
    below = [key for key in keys if key[: len(parent)] == parent]
    name = SYNONYMS.get(path[-1], path[-1])
    match = _ending_in(name, section) or _ending_in(name, below) or _ending_in(name, keys)
    match = match or _similar(name, section, 0.6) or _similar(name, keys, 0.7)
    if match:
        stage = path[2] if path[:2] == STAGES and len(path) > 3 else stages[-1]
        return suggestion([".".join(match).replace(ANY_STAGE, stage)])
    names = ", ".join(key[-1] for key in section)
    return f"; {'.'.join(path[:-1]) or 'the top level'} has: {names}" if names else ""


def _ending_in(name: str, keys: Sequence[KeyPath]) -> KeyPath | None:
    return next((key for key in keys if key[-1] == name), None)


def _similar(name: str, keys: Sequence[KeyPath], cutoff: float) -> KeyPath | None:
    close = difflib.get_close_matches(name, [key[-1] for key in keys], n=1, cutoff=cutoff)
    return _ending_in(close[0], keys) if close else None


def _any_stage(path: KeyPath) -> KeyPath:
    """Replace the name of a stage in a path by `<stage>`."""
    return (*STAGES, ANY_STAGE, *path[3:]) if path[:2] == STAGES and len(path) > 2 else path


def _describe(annotation: Any, metadata: Sequence[Any]) -> str:
    """Describe a type annotation and its pydantic constraints. Annotations are of no common type, hence Any."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else str(arguments[0])
    if get_origin(annotation) is tuple and arguments[0] is str:
        return "names in brackets"
    if get_origin(annotation) is tuple:
        count = "numbers" if Ellipsis in arguments else "two numbers"
        return f"{count}{_describe_range(get_args(arguments[0])[1].metadata)} in brackets"
    if type(None) in arguments:
        return f"{_describe(arguments[0], metadata)}, or null"
    if get_origin(annotation) is Union:
        return ", or ".join(_describe(argument, ()) for argument in arguments)
    if get_origin(annotation) is Annotated:
        return _describe(arguments[0], annotation.__metadata__[0].metadata)
    if annotation in TYPE_NAMES:
        return TYPE_NAMES[annotation] + _describe_range(metadata)
    return "a section with keys of its own"


def _describe_range(metadata: Sequence[Any]) -> str:
    """Describe the limits of a number. Each constraint is an object of its own class with one attribute of a name."""
    limits: dict[str, float] = {}
    for constraint in metadata:
        limits |= {name: getattr(constraint, name) for name in LIMIT_PHRASES if hasattr(constraint, name)}
    limits = {name: limit for name, limit in limits.items() if limit is not None}
    if set(limits) == {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    phrases = [phrase.format(limits[name]) for name, phrase in LIMIT_PHRASES.items() if name in limits]
    return " " + " and ".join(phrases) if phrases else ""

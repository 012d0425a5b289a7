"""What can be configured, in words: every key, what it takes, and the right key for a wrong one."""

import difflib
from typing import Annotated, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from retinue.configs.schema import Config, Stage

STAGES = ("train", "stages")
ANY_STAGE = "<stage>"
OTHER_WORDS = {"lr": "learning_rate", "image_size": "input_size"}  # what people type for our keys
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
LIMITS = {"ge": "of at least {}", "gt": "above {}", "lt": "below {}", "le": "at most {}"}


def all_fields(model=Config, prefix=()):
    """(key as a tuple of str, pydantic's field) of every key and section; `<stage>` stands for a stage's name."""
    for name, field in model.model_fields.items():
        place = (*prefix, name)
        yield place, field
        if place == STAGES:
            yield (*place, ANY_STAGE), field
            yield from all_fields(Stage, (*place, ANY_STAGE))
        elif is_section(field):
            yield from all_fields(field.annotation, place)


def is_section(field):
    """Whether it has keys of its own: a section, or the stages, which are sections by name."""
    kind = field.annotation
    return get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))


def find_field(place):
    """The key that an error at `place` (its str and int parts) is about, and its field, None where it is no key."""
    fields = dict(all_fields())
    for end in range(len(place), 0, -1):
        if _generic(place[:end]) in fields:
            return place[:end], fields[_generic(place[:end])]
    return place, None


def expected(field):
    """What a field takes, in words: "a number from 0 to 1"."""
    if get_origin(field.annotation) is tuple:
        return f"{_in_words(field.annotation, field.metadata)}, for instance {in_yaml(field.default)}"
    return _in_words(field.annotation, field.metadata)


def in_yaml(value):
    """A value as it is written in a recipe, on one line."""
    value = list(value) if isinstance(value, tuple) else value
    return (
        yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True).removesuffix("\n...\n").strip()
    )


def nearest_key(place, stages):
    """A hint for the unknown key `place` (str parts): the right one, or what its section has. stages: their names."""
    everywhere = [key for key, _ in all_fields()]
    section = [key for key in everywhere if key[:-1] == _generic(place[:-1])]
    name = OTHER_WORDS.get(place[-1], place[-1])
    below = [key for key in everywhere if key[: len(place) - 1] == _generic(place[:-1])]
    found = _named(name, section) or _named(name, below) or _named(name, everywhere)
    found = found or _alike(name, section, 0.6) or _alike(name, everywhere, 0.7)
    if found:
        stage = place[2] if place[:2] == STAGES and len(place) > 3 else stages[-1]
        return f"; did you mean {'.'.join(found).replace(ANY_STAGE, stage)}?"
    names = ", ".join(key[-1] for key in section)
    return f"; {'.'.join(place[:-1]) or 'the top level'} has: {names}" if names else ""


def _named(name, keys):
    return next((key for key in keys if key[-1] == name), None)


def _alike(name, keys, cutoff):
    close = difflib.get_close_matches(name, [key[-1] for key in keys], n=1, cutoff=cutoff)
    return _named(close[0], keys) if close else None


def _generic(place):
    """A stage's own name stands for any stage."""
    return (*STAGES, ANY_STAGE, *place[3:]) if place[:2] == STAGES and len(place) > 2 else place


def _in_words(kind, metadata):
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else str(arguments[0])
    if get_origin(kind) is tuple and arguments[0] is str:
        return "names in brackets"
    if get_origin(kind) is tuple:
        count = "numbers" if Ellipsis in arguments else "two numbers"
        return f"{count}{_range(get_args(arguments[0])[1].metadata)} in brackets"
    if type(None) in arguments:
        return f"{_in_words(arguments[0], metadata)}, or null"
    if get_origin(kind) is Union:
        return ", or ".join(_in_words(part, ()) for part in arguments)
    if get_origin(kind) is Annotated:
        return _in_words(arguments[0], kind.__metadata__[0].metadata)
    if kind in KINDS:
        return KINDS[kind] + _range(metadata)
    return "a section with keys of its own"


def _range(metadata):
    limits = {}
    for part in metadata:
        limits |= {name: getattr(part, name) for name in LIMITS if getattr(part, name, None) is not None}
    if set(limits) == {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    parts = [words.format(limits[name]) for name, words in LIMITS.items() if name in limits]
    return " " + " and ".join(parts) if parts else ""

"""A `Finding`: one thing that is wrong, odd or worth knowing about one file of a dataset."""

from dataclasses import dataclass

BAD, WARNING, NOTE = "bad", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """What a reader or the check saw.

    severity: "bad" (the file can't be used), "warning" (usable, but look at it) or "note".
    kind: the few words that all findings of its kind share, for counting ("truncated", "wrong extension").
    file: the path; item: the part of it that is meant (a line of a CSV, a class, a box), or "".
    reason: what is wrong; action: what retinue does with it, and what a person can do.
    """

    severity: str
    kind: str
    file: str
    item: str
    reason: str
    action: str

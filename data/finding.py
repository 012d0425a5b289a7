"""A `Finding`: one thing that is wrong, unusual or worth knowing about a file of a dataset."""

from dataclasses import dataclass

INVALID, WARNING, NOTE = "invalid", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One observation of a reader or of the check.

    Attributes:
        severity: "invalid" (the file or the item cannot be used), "warning" (it can be used, but should be looked at)
            or "note".
        kind: A few words that all findings of this kind have in common, for counting, such as "truncated".
        file: Path of the file.
        item: The part of the file that is meant, such as a line of a CSV file, a class or a box, or "".
        reason: What is wrong.
        action: What retinue does with the file, and how a person can fix it.
    """

    severity: str
    kind: str
    file: str
    item: str
    reason: str
    action: str

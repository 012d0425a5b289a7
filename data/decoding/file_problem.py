"""Why a file cannot be used."""

from typing import NamedTuple

RESAVE = "save it again as JPEG or PNG"
COPY_AGAIN = "copy it again from its source"


class Problem(NamedTuple):
    """Why a file cannot be used.

    Attributes:
        kind: A few words that all problems of this kind have in common, such as "truncated".
        reason: What is wrong.
        cure: What a person can do.
    """

    kind: str
    reason: str
    cure: str


class UnusableFileError(Exception):
    """A file cannot be used.

    Args:
        kind: As for `Problem`.
        reason: As for `Problem`.
        cure: As for `Problem`.
    """

    def __init__(self, kind: str, reason: str, cure: str) -> None:
        super().__init__(reason)
        self.problem = Problem(kind, reason, cure)


TRUNCATED = Problem("truncated", "the file ends before the image does", COPY_AGAIN)

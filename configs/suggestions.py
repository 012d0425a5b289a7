"""The hint "did you mean ...?" for a name that does not exist."""

import difflib
from collections.abc import Iterable, Sequence


def did_you_mean(word: str, known: Iterable[str], *, limit: int = 3, cutoff: float = 0.4) -> str:
    """Suggest the known names that are most similar to an unknown one.

    Args:
        word: The unknown name.
        known: The names that exist.
        limit: Largest number of suggestions.
        cutoff: Smallest similarity of a suggestion, as `difflib` measures it: 0 (none) to 1 (equal).

    Returns:
        A clause to append to an error message, "; did you mean A or B?", or "" if no name is similar enough.
    """
    return suggestion(difflib.get_close_matches(word, list(known), n=limit, cutoff=cutoff))


def suggestion(names: Sequence[str]) -> str:
    """Return the clause "; did you mean A or B?" for these names, or "" if there are none."""
    return f"; did you mean {' or '.join(names)}?" if names else ""

"""The text of a table: its encoding, its delimiter, and its records.

- Encoding: UTF-8; UTF-16 and UTF-32 with a byte order mark, as Excel writes them; otherwise Windows-1252, which is an
  assumption and therefore a warning. Bytes that are none of these are refused.
- Delimiter: comma, semicolon or tab, or the one that a first line `sep=;` names, as Excel writes and honors it.
- JSON Lines (.jsonl): each line is an object, and its keys are the columns.
"""

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from retinue.configs.errors import RetinueError
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.tables.columns import count_known

JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv", *JSON_SUFFIXES)
SEPARATOR_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line that Excel writes and honors
OPEN_QUOTE = "a double quote is opened here and never closed; close it, or write it twice to mean the character itself"
END = "\0"  # a line of this follows the last one, to see whether a quote is still open there
MARKS = (  # the longer ones first, since the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
JOINED = "\n"  # between the values of a list of JSON Lines in one cell

Record = tuple[int, list[str]]  # the number of the first line, from 1, and the cells


class TableText:
    """The text of a table, whose records can be iterated over several times.

    Attributes:
        path: The file.
        findings: A warning where the encoding was assumed.
    """

    def __init__(self, path: str, max_bytes: int = -1) -> None:
        """Read the file.

        Args:
            path: A file with a suffix of `TABLE_SUFFIXES`.
            max_bytes: Read only so many bytes and ignore the last, incomplete line; -1 reads all.

        Raises:
            RetinueError: The file can't be read or is not text.
        """
        self.path = path
        self.findings: list[Finding] = []
        self._is_json = path.lower().endswith(JSON_SUFFIXES)
        self._text, self._is_cut = self._read(max_bytes)

    @cached_property
    def delimiter(self) -> str:
        """The delimiter: the one with which the header names the most known columns, or else the most frequent one."""
        first = self._text[: self._text.find("\n") + 1] or self._text
        hint = SEPARATOR_HINT.fullmatch(first)
        if hint:
            return hint[1]

        def score(delimiter: str) -> tuple[int, int]:
            return count_known(first.split(delimiter)), first.count(delimiter)

        return max(",;\t", key=score)

    def records(self) -> Iterator[Record]:
        """Return all records, the header too, without empty lines above it.

        Raises:
            RetinueError: The file is not a table from some line on.
        """
        if self._is_json:
            return iter(self._json_records)
        records = self._cut_records() if self._is_cut else self._csv_records()
        return itertools.dropwhile(lambda record: not any(cell.strip() for cell in record[1]), records)

    def _cut_records(self) -> Iterator[Record]:
        """Yield the records of the first part of a file, in which the last one may be incomplete."""
        records = self._csv_records()
        while True:
            try:
                yield next(records)
            except (RetinueError, StopIteration):
                return

    def _csv_records(self) -> Iterator[Record]:
        lines = io.StringIO(self._text, newline="")
        hint = SEPARATOR_HINT.fullmatch(lines.readline())
        if not hint:
            lines.seek(0)
        reader = csv.reader(itertools.chain(lines, [END]), delimiter=self.delimiter)
        above = 1 if hint else 0
        while True:
            line = above + reader.line_num + 1
            try:
                cells = next(reader)
            except csv.Error:  # a value of more than 128 KB
                if above + reader.line_num > line:
                    raise RetinueError(f"{self.path} line {line}: {OPEN_QUOTE}") from None
                raise RetinueError(
                    f"{self.path} line {line}: it has a value of more than 128 KB; is this a table of annotations?"
                ) from None
            if cells == [END]:
                return
            if cells and cells[-1].endswith(END):
                raise RetinueError(f"{self.path} line {line}: {OPEN_QUOTE}")
            yield line, cells

    @cached_property
    def _json_records(self) -> list[Record]:
        objects: list[tuple[int, dict[str, Any]]] = []
        for number, line in enumerate(self._text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                parsed = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", "it is nested too deep")
                raise RetinueError(f"{self.path} line {number}: it is not JSON ({reason}); correct it") from None
            if not isinstance(parsed, dict):
                raise RetinueError(f"{self.path} line {number}: it is not a JSON object, which each line must be")
            objects.append((number, parsed))
        names = list(dict.fromkeys(name for _, parsed in objects for name in parsed))
        records = [(number, [_json_cell(parsed.get(name)) for name in names]) for number, parsed in objects]
        return [(1, names), *records]

    def _read(self, max_bytes: int) -> tuple[str, bool]:
        """Return the text, and whether it is only the first part of the file."""
        try:
            with open(self.path, "rb") as file:
                content = file.read(max_bytes)
                is_cut = max_bytes >= 0 and bool(file.read(1))
        except OSError as error:
            raise RetinueError(f"{self.path}: this file can't be read ({error.strerror})") from None
        encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
        if b"\0" in content and encoding.startswith("utf-8"):
            raise RetinueError(f'{self.path}: this is not a table in plain text; save it as "CSV UTF-8"')
        try:
            text = _decode(content, encoding, is_cut)
        except UnicodeDecodeError as error:
            if not encoding.startswith("utf-8"):
                raise RetinueError(
                    f'{self.path}: its first bytes promise {encoding.upper()}, but it is not; save it as "CSV UTF-8"'
                ) from None
            text = self._decode_windows(content, error.start)
        return (text[: text.rfind("\n") + 1] if is_cut else text), is_cut

    def _decode_windows(self, content: bytes, start: int) -> str:
        """Decode Windows-1252, and warn about it; `start` is where the content is not UTF-8."""
        line = content[:start].count(b"\n") + 1
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise RetinueError(
                f'{self.path} line {line}: it has a character that is not UTF-8; save the table as "CSV UTF-8"'
            ) from None
        written = text.split("\n")[line - 1].strip()
        reason = f"it is not UTF-8 and is taken for Windows-1252, in which line {line} is: {written[:80]}"
        action = 'if that is wrong, save it as "CSV UTF-8"'
        self.findings.append(Finding(WARNING, "encoding", self.path, "", reason, action))
        return text


def _decode(content: bytes, encoding: str, is_cut: bool) -> str:
    return codecs.getincrementaldecoder(encoding)().decode(content, final=not is_cut)


def _json_cell(value: Any) -> str:
    """Return a value of JSON as the text of a cell: lists of plain values are joined, other structures stay JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return JOINED.join(_json_cell(item) for item in value)
    return json.dumps(value, ensure_ascii=False)

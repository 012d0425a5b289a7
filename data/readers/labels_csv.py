"""A table of labels: a CSV with the columns `file` and `label`, and, if wanted, `split` and `group`."""

import csv
import difflib
import io
import itertools
import os
import re
import unicodedata

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.suggestions import did_you_mean, suggestion
from retinue.data.dataset import Dataset, Ragged
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.storage.file_names import SPLIT_NAMES

COLUMNS = ("file", "label", "split", "group")
OTHER_WORDS = {
    "file": ("filename", "file_name", "filepath", "path", "image", "image_path", "img", "name", "photo"),
    "label": ("labels", "class", "class_name", "category", "target", "tags", "species"),
    "split": ("set", "subset", "fold", "partition"),
    "group": ("groups", "group_id", "patient", "subject"),
}
LABEL_SEPARATORS = ";|"
SEPARATOR_HINT = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line that Excel writes and honours
OPEN_QUOTE = "a double quote is opened here and not closed; close it, or write it twice to mean the sign itself"
END = "\0"  # a line of this follows the last one, to see whether a quote is still open there


def read_csv_table(path):
    """Read a CSV of labels into a `Dataset`, in the order of its lines.

    UTF-8 with or without a byte order mark; separated by comma, semicolon or tab, or by what a first line `sep=;` says.
    Paths are relative to the CSV's folder. Several labels a file, as `a;b`, `a|b` or as several lines, make the dataset
    multi-label; then an empty label means none of them. Raises RetinueError with the line for what can't be understood.
    """
    path = os.fspath(path)
    rows, findings = _rows(path)
    if not rows:
        raise RetinueError(f"{path}: no lines below the header")
    merged, repeated = _merge(path, rows)
    findings += repeated
    several = sum(len(row["labels"]) > 1 for row in merged)
    if several:
        reason = f"{several:,} of {len(merged):,} files have more than one"
        findings.append(Finding(NOTE, "several labels", path, "", reason, "read as multi-label"))
    else:
        empty = [row["line"] for row in merged if not row["labels"]]
        if empty:
            cure = "write its label, or take the line out"
            raise RetinueError(f"{path} line {empty[0]}: the label is empty{and_more(empty)}; {cure}")
    files = [row["file"] for row in merged]
    if not any(os.path.exists(file) for file in files):
        raise RetinueError(
            f"{path}: none of its {len(files):,} files exists, the first would be {files[0]}; "
            "paths are relative to the folder of the CSV"
        )
    classes = sorted({label for row in merged for label in row["labels"]})
    place = {name: index for index, name in enumerate(classes)}
    labels = [[place[label] for label in row["labels"]] for row in merged]
    columns = {"labels": Ragged.from_rows(labels, np.int64)} if several else {"label": np.array(labels, np.int64)[:, 0]}
    groups = [row["group"] for row in merged]
    return Dataset(
        task="classification",
        files=files,
        classes=classes,
        columns=columns,
        splits=np.array([row["split"] for row in merged], dtype=object),
        groups=np.array(groups, dtype=object) if any(groups) else None,
        source=path,
        format="csv",
        findings=tuple(findings),
    )


def _rows(path):
    """Every line below the header as a dict with file, labels, split, group and line; and findings about columns."""
    table = records(path)
    header_line, header = next(table, (1, []))
    header = [name.strip() for name in header]
    place = _columns(path, header, header_line)
    rows, wrong_width, no_file, wrong_split = [], [], [], []
    folder = os.path.dirname(path)
    for line, cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            wrong_width.append((line, cells))
            continue
        value = {name: cells[index].strip() for name, index in place.items()}
        split = value.get("split", "").lower()
        if not value["file"]:
            no_file.append(line)
        elif split and split not in SPLIT_NAMES:
            wrong_split.append((line, value["split"]))
        else:
            rows.append(
                {
                    "file": file_path(folder, value["file"]),
                    "labels": _labels(value["label"]),
                    "split": SPLIT_NAMES.get(split, ""),
                    "group": value.get("group", ""),
                    "line": line,
                }
            )
    if wrong_width:
        line, cells = wrong_width[0]
        cure = "put a value that holds the separator in double quotes"
        if any("\n" in cell for cell in cells):
            cure = "a double quote in it is closed in a later line only; close it, or write it twice to mean the sign"
        elif len(cells) < len(header):
            cure = "fill the line up"
        what = f"{len(cells)} {'value' if len(cells) == 1 else 'values'}, but the header names {len(header)} columns"
        raise RetinueError(f"{path} line {line}: {what}{and_more(wrong_width)}; {cure}")
    if no_file:
        raise RetinueError(f"{path} line {no_file[0]}: the file is empty{and_more(no_file)}; write its path")
    if wrong_split:
        line, name = wrong_split[0]
        cure = did_you_mean(name.lower(), SPLIT_NAMES, limit=1, cutoff=0.6)
        cure = cure or "; use train, val or test, or leave it empty"
        raise RetinueError(f"{path} line {line}: unknown split {name!r}{and_more(wrong_split)}{cure}")
    return rows, _unused_columns(path, header, place)


def records(path):
    """Yield (its first line, its cells) of every record of the table; raises RetinueError for what is no table."""
    lines = io.StringIO(_text(path), newline="")
    first = lines.readline()
    hint = SEPARATOR_HINT.fullmatch(first)
    if not hint:
        lines.seek(0)
    reader = csv.reader(itertools.chain(lines, [END]), delimiter=hint[1] if hint else _delimiter(first))
    above = 1 if hint else 0
    while True:
        line = above + reader.line_num + 1
        try:
            cells = next(reader)
        except csv.Error:  # a value of more than 128 KB
            if above + reader.line_num > line:
                raise RetinueError(f"{path} line {line}: {OPEN_QUOTE}") from None
            raise RetinueError(f"{path} line {line}: a value of more than 128 KB; is this a table of labels?") from None
        if cells == [END]:
            return
        if cells and cells[-1].endswith(END):
            raise RetinueError(f"{path} line {line}: {OPEN_QUOTE}")
        yield line, cells


def _text(path):
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise RetinueError(f"{path}: can't be read ({error.strerror})") from None
    if b"\0" in content:
        raise RetinueError(f'{path}: this is not a plain UTF-8 table; save it as "CSV UTF-8"')
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RetinueError(f'{path} line {line}: a letter that is not UTF-8; save the table as "CSV UTF-8"') from None


def _delimiter(header):
    """The separator under which the header names the most columns that we know; then the one that is there most."""

    def merit(delimiter):
        names = [name.strip().strip('"').lower() for name in header.split(delimiter)]
        return sum(name in COLUMNS for name in names), header.count(delimiter)

    return max(",;\t", key=merit)


def _columns(path, header, line):
    """{our column: its index}; raises RetinueError when file or label is missing."""
    lower = [name.lower() for name in header]
    twice = sorted({name for name in lower if name in COLUMNS and lower.count(name) > 1})
    if twice:
        raise RetinueError(f"{path} line {line}: the column {twice[0]} is there twice; rename one of them")
    place = {name: lower.index(name) for name in COLUMNS if name in lower}
    for name in ("file", "label"):
        if name not in place:
            near = [found for found in lower if found in OTHER_WORDS[name]] or difflib.get_close_matches(name, lower, 1)
            found = ", ".join(header) or "nothing"
            needed = "the first line must name file,label; or, for boxes, file,x1,y1,x2,y2,label"
            cure = f"rename {header[lower.index(near[0])]} to {name}" if near else needed
            raise RetinueError(f"{path} line {line}: the column {name} is missing (found: {found}); {cure}")
    return place


def _unused_columns(path, header, place):
    findings = []
    for index, name in enumerate(header):
        if index in place.values():
            continue
        near = [ours for ours in ("split", "group") if ours not in place and _means(name.lower(), ours)]
        action = f"passed over{suggestion(near[:1])}"
        severity = WARNING if near else NOTE
        findings.append(Finding(severity, "unused column", path, name, f"the column {name} is not used", action))
    return findings


def _means(name, column):
    return name in OTHER_WORDS[column] or bool(difflib.get_close_matches(name, [column], 1, 0.75))


def file_path(folder, name):
    """The path of the file `name` of a table in `folder`; backslashes part folders, except in names that have them."""
    if "\\" in name and os.sep == "/" and not os.path.exists(os.path.join(folder, name)):
        name = name.replace("\\", "/")
    return os.path.normpath(os.path.join(folder, name))


def _labels(cell):
    for separator in LABEL_SEPARATORS:
        cell = cell.replace(separator, "\n")
    parts = (unicodedata.normalize("NFC", part.strip()) for part in cell.split("\n"))
    return [part for part in dict.fromkeys(parts) if part]


def _merge(path, rows):
    """One row a file; and a finding for each line that says nothing new."""
    merged, findings = {}, []
    for row in rows:
        first = merged.setdefault(row["file"], row)
        if first is row:
            continue
        for column in ("split", "group"):
            if row[column] != first[column]:
                raise RetinueError(
                    f"{path} line {row['line']}: {row['file']} has the {column} {row[column] or 'none'} here, "
                    f"but {first[column] or 'none'} in line {first['line']}; make them the same"
                )
        new = [label for label in row["labels"] if label not in first["labels"]]
        if not new:
            reason = f"line {row['line']} repeats line {first['line']}"
            findings.append(Finding(NOTE, "repeated line", row["file"], f"line {row['line']}", reason, "counted once"))
        first["labels"] = first["labels"] + new
    return list(merged.values()), findings


def and_more(items):
    """For a message about the first of `items`, all lines of the same fault."""
    more = len(items) - 1
    return f" (and {more:,} more {'line' if more == 1 else 'lines'} like it)" if more else ""

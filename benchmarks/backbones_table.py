"""Write docs/backbones.csv (the output of `retinue models`) and backbones/multiply_adds.py.

python benchmarks/backbones_table.py            docs/backbones.csv from the table as it is
python benchmarks/backbones_table.py --count    also build every model and count its multiply-adds (minutes)
"""

import csv
import sys
from pathlib import Path

from retinue import backbones

ROOT = Path(__file__).parents[1]


def count():
    """Multiply-adds of every backbone with its classifier, one image of its own input size."""
    import keras

    from retinue.backbones.layer_table import layer_table

    counts = {}
    with keras.StatelessScope(initialize_variables=False):  # no weights are made
        for name in backbones.names():
            model = backbones.build(name, "none", input_size=backbones.find(name).input_size, classifier=True)
            counts[name] = sum(row.multiply_adds for row in layer_table(model))
            print(f"{name} {counts[name]:,}", flush=True)
    return counts


def write_counts(counts):
    lines = [
        '"""Multiply-adds for one image with the classifier; written by benchmarks/backbones_table.py --count."""',
        "",
        "MULTIPLY_ADDS: dict[str, int] = {",
        *(f'    "{name}": {number:_},' for name, number in counts.items()),
        "}",
    ]
    (ROOT / "backbones" / "multiply_adds.py").write_text("\n".join(lines) + "\n")


def write_csv():
    rows = backbones.listing()
    with open(ROOT / "docs" / "backbones.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    if "--count" in sys.argv[1:]:
        write_counts(count())
    write_csv()

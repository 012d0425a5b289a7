"""Resident memory of `retinue predict` over 20,000 files: it must stay flat from file 2,000 on.

    python benchmarks/memory.py [--count 20000] [--runtime openvino]

Real JPEG files (500 distinct ones, under many names), EfficientNet-Lite0 at 32 px, the whole pipeline. A row every
1,000 files goes into benchmarks/results/memory.csv. Ends with 1 when memory grew by more than 5% from file 2,000 to the
last.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from predict import make_photos, make_run

RESULTS = Path(__file__).parent / "results" / "memory.csv"
DISTINCT = 500
FLAT = 1.05


def resident_megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--runtime", default="auto", choices=("auto", "tensorflow", "openvino"))
    options = parser.parse_args()
    from retinue.pipeline.predict import predict
    from retinue.pipeline.run import to_csv

    rows = []

    def sample(summary):
        if summary.images % 1000 == 0:
            rows.append({"files": summary.images, "resident_megabytes": round(resident_megabytes(), 1)})

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        make_photos(scratch / "distinct", min(DISTINCT, options.count), 160, 120)
        distinct = sorted((scratch / "distinct").iterdir())
        (scratch / "photos").mkdir()
        for number in range(options.count):
            os.link(distinct[number % len(distinct)], scratch / "photos" / f"{number}.jpg")
        make_run(scratch / "run", input_size=32)
        predict(
            scratch / "run",
            [scratch / "photos"],
            scratch / "out",
            formats=("jsonl", "csv"),
            runtime=options.runtime,
            progress=sample,
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(to_csv(rows), encoding="utf-8")
    print(to_csv(rows))
    settled = [row["resident_megabytes"] for row in rows if row["files"] >= 2000]
    growth = settled[-1] / settled[0] if settled else 1.0
    print(f"from file 2,000 to file {rows[-1]['files']:,}: {growth - 1:+.1%}")
    sys.exit(growth > FLAT)


if __name__ == "__main__":
    main()

"""Compare the exports of a trained run with Keras, in processes that cannot import retinue.

    python benchmarks/exports_without_retinue.py RUN [--files 8]

Exports RUN in all four formats, gives the models the run's own validation files, decoded here, and compares the answers
of a process for each format, in which `import retinue` fails, with the Keras model's. Prints a line a format, and ends
with 1 where one does not agree.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--files", type=int, default=8)
    options = parser.parse_args()
    from retinue.pipeline.exporting.export import TOLERANCE, export
    from retinue.pipeline.exporting.options import ExportOptions
    from retinue.pipeline.runs import run_records
    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.runtimes import tensorflow_runtime
    from retinue.pipeline.runtimes.batching import stack_inputs
    from retinue.tests.pipeline.exporting.test_formats_without_retinue import AFTER, BEFORE, ELSEWHERE

    model = open_model(options.run)
    validation = [
        record for split in ("test", "val") for record in run_records.sample_records(model, split, options.files)
    ]
    records = validation[: options.files]
    inference = model.task.inference(model.build())
    keras_model = tensorflow_runtime.TensorFlowRuntime(tensorflow_runtime.trace(inference), inference)
    agreed = True
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        export(options.run, scratch / "export", ExportOptions(formats=tuple(ELSEWHERE)))
        found = {form: [] for form in ELSEWHERE}
        for record in records:
            batch = stack_inputs([run_records.read_record(model.task, record)], model.task.padding(training=False))
            np.savez(scratch / "inputs.npz", **batch)
            truth = keras_model(batch)
            for form, program in ELSEWHERE.items():
                command = [sys.executable, "-c", BEFORE + program + AFTER, scratch / "export", scratch / "inputs.npz"]
                subprocess.run([*command, scratch / form], check=True, capture_output=True, cwd="/")
                given = dict(np.load(scratch / f"{form}.npz"))
                found[form].append(model.task.compare_outputs(given, truth, TOLERANCE))
        for form, reported in found.items():
            same, ties = (sum(one[name] for one in reported) for name in ("same", "near_ties"))
            largest = max(one["largest_difference"] for one in reported)
            agreed &= same + ties == len(records) and largest <= TOLERANCE
            words = f"largest difference {largest:.1e}, same answer {same} of {len(records)}, {ties} near ties"
            print(f"without retinue, {form}: {words}")
    sys.exit(not agreed)


if __name__ == "__main__":
    main()

"""A few training steps with one batch size, in a process of its own, which may run out of memory.

`python -m retinue.pipeline.training.batch_size_trial FOLDER SIZE`: batch_size_search.py writes FOLDER. The last line of
the output is JSON with the bytes of memory before the first step (`base`) and at the peak (`peak`). Exit code 3 says
that a device has no memory left.
"""

import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

OUT_OF_MEMORY = 3
STEPS = 2  # the second step also holds the slots of the optimizer and what the first one left


def main(folder: str, size: int) -> int:
    """Train `STEPS` steps of every stage with batches of `size`, print the memory, and return the exit code."""
    from retinue.configs.quiet import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.runtimes.tensorflow_runtime import is_out_of_memory
    from retinue.pipeline.training.freeze import apply_stage
    from retinue.pipeline.training.optimizer import make_optimizer

    task = open_model(folder).task
    train, base = task.config.train, None
    try:
        model = task.build(weights="none")
        for number, stage in enumerate(train.stages.values()):
            with np.load(Path(folder) / f"stage-{number}.npz", allow_pickle=False) as arrays:
                batch = unflatten_batch(
                    {name: np.resize(arrays[name], (size, *arrays[name].shape[1:])) for name in arrays}
                )
            base = base or peak_memory()
            apply_stage(model, stage, train)
            model.precision, model.batch_size = train.precision, size
            model.gradient_accumulation_steps = min(train.gradient_accumulation_steps, size)
            model.compile(optimizer=make_optimizer(train, stage, model, STEPS))
            model.fit(tf.data.Dataset.from_tensors(batch).repeat(), steps_per_epoch=STEPS, shuffle=False, verbose=0)
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            return OUT_OF_MEMORY
        raise
    print(json.dumps({"base": base, "peak": peak_memory()}))
    return 0


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    try:  # Linux's getrusage also counts the process that started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def flatten_batch(batch: tuple[Any, Any]) -> dict[str, np.ndarray]:
    """Return (inputs, targets) as a flat dict of arrays. Each of them is an array, a dict of arrays, or ()."""
    arrays: dict[str, np.ndarray] = {}
    for part_name, part in zip(("inputs", "targets"), batch, strict=True):
        if isinstance(part, dict):
            arrays |= {f"{part_name}/{name}": value for name, value in part.items()}
        elif not isinstance(part, tuple):
            arrays[part_name] = part
    return arrays


def unflatten_batch(arrays: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
    """Return the (inputs, targets) that `flatten_batch` was given."""

    def part(part_name: str) -> Any:
        named = {name.split("/")[1]: value for name, value in arrays.items() if name.startswith(f"{part_name}/")}
        return arrays.get(part_name, named or ())

    return part("inputs"), part("targets")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

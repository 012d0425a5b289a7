"""A few training steps with a batch of some size, in a process of its own, which may run out of memory.

`python -m retinue.pipeline.training.batch_size_trial FOLDER SIZE`: FOLDER as batch_size_search.py writes it. The last
line that it prints
is JSON: base and peak, bytes of memory before the first step and at most. Exit code 3: a device has no memory left.
"""

import json
import resource
import sys
from pathlib import Path

FULL = 3
STEPS = 2  # the second has the optimizer's slots and the first one's garbage beside it


def main(folder, size):
    from retinue.configs.quiet import import_tensorflow

    import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.runtimes.tensorflow_runtime import is_out_of_memory
    from retinue.pipeline.training.freeze import apply_stage
    from retinue.pipeline.training.optimizer import make_optimizer

    task = open_model(folder).task
    train, base = task.config.train, None
    try:
        net = task.build(weights="none")
        for number, stage in enumerate(train.stages.values()):
            with np.load(Path(folder) / f"stage-{number}.npz", allow_pickle=False) as arrays:
                batch = unpacked({name: np.resize(arrays[name], (size, *arrays[name].shape[1:])) for name in arrays})
            base = base or peak_memory()
            apply_stage(net, stage, train)
            net.precision, net.batch_size, net.gradient_accumulation_steps = (
                train.precision,
                size,
                min(train.gradient_accumulation_steps, size),
            )
            net.compile(optimizer=make_optimizer(train, stage, net, STEPS))
            net.fit(tf.data.Dataset.from_tensors(batch).repeat(), steps_per_epoch=STEPS, shuffle=False, verbose=0)
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            return FULL
        raise
    print(json.dumps({"base": base, "peak": peak_memory()}))
    return 0


def peak_memory():
    """Bytes of memory that this process has had at most."""
    try:  # Linux's getrusage counts that of the process which started this one, too
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def packed(batch):
    """(inputs, targets) as a flat dict of arrays; each is an array, a dict of them, or ()."""
    arrays = {}
    for place, part in zip(("inputs", "targets"), batch, strict=True):
        if isinstance(part, dict):
            arrays |= {f"{place}/{name}": value for name, value in part.items()}
        elif not isinstance(part, tuple):
            arrays[place] = part
    return arrays


def unpacked(arrays):
    """What `packed` was given."""
    parts = []
    for place in ("inputs", "targets"):
        named = {name.split("/")[1]: value for name, value in arrays.items() if name.startswith(f"{place}/")}
        parts.append(arrays.get(place, named or ()))
    return tuple(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

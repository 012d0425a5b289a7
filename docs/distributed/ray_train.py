"""Training by the workers of a Ray cluster, with Ray Train's TensorflowTrainer as the launcher.

    python docs/distributed/ray_train.py --workers 2 [--gpus 1] [--cores 4] [--max-restarts 3] [--address auto] -- \\
        IMAGES/ --out runs/images --set train.batch_size=64

The arguments after `--` are those of `retinue train`; `--auto-resume` is added. IMAGES and the run folder are on a disk
that all machines share, under the same paths. Ray starts the workers, sets TF_CONFIG for each, and shows their output.
When a worker is lost, Ray starts all of them again, at most `--max-restarts` times, and training continues from the
last checkpoint. Without `--address`, Ray runs on this machine alone. Needs `pip install 'retinue[ray]' pandas`. Without
`ray[default]`, Ray warns repeatedly that its State API may be unavailable; the warning is harmless.
"""

import argparse
import os
import sys
from typing import Any


def train_loop(job: dict[str, Any]) -> None:
    """Run `retinue train` in one worker."""
    os.chdir(job["folder"])
    from retinue.cli import main

    sys.argv = ["retinue", "train", *job["arguments"], "--auto-resume"]
    try:
        main()
    except SystemExit as end:
        if end.code not in (None, 0, 3):  # 3: trained, but some files were left out
            raise RuntimeError(f"retinue train exited with code {end.code}; its message is above") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1, help="CPU cores of each worker")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of each worker")
    parser.add_argument("--max-restarts", type=int, default=3, help="how often all workers are started again")
    parser.add_argument("--address", help="address of the cluster: auto or host:port")
    parser.add_argument("train", nargs="+", help="arguments of `retinue train`")
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    ray.init(address=options.address)
    TensorflowTrainer(
        train_loop,
        train_loop_config={"folder": os.getcwd(), "arguments": options.train},
        scaling_config=ScalingConfig(
            num_workers=options.workers,
            use_gpu=options.gpus > 0,
            resources_per_worker={"CPU": options.cores} | ({"GPU": options.gpus} if options.gpus else {}),
        ),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=options.max_restarts)),
    ).fit()


if __name__ == "__main__":
    main()

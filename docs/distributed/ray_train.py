"""Training by the workers of a Ray cluster, with Ray Train's TensorflowTrainer as the launcher.

    python docs/distributed/ray_train.py --workers 2 [--gpus 1] [--cores 4] [--restarts 3] [--address auto] -- \\
        PHOTOS/ --out runs/photos --set train.batch_size=64

What stands behind `--` is given to `retinue train`, with `--auto-resume`. PHOTOS and the run folder lie on a disk that
all machines share, under the same paths. Ray starts the workers, gives each its TF_CONFIG and shows what they say;
when one is lost it starts all of them again, `--restarts` times, and they go on from the last checkpoint. Without
`--address` it is a Ray of its own on this machine. Needs `pip install 'retinue[ray]' pandas`; with `ray[default]` also
installed, Ray does not say again and again that its State API may be unavailable, which does no harm.
"""

import argparse
import os
import sys


def train_loop(job):
    """What each worker does."""
    os.chdir(job["folder"])
    from retinue.cli import main

    sys.argv = ["retinue", "train", *job["arguments"], "--auto-resume"]
    try:
        main()
    except SystemExit as end:
        if end.code not in (None, 0, 3):  # 3: trained, with something in the data left out
            raise RuntimeError(f"retinue train ended with code {end.code}; what it said stands above") from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1, help="CPU cores of each worker")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of each worker")
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--address", help="of the cluster: auto, host:port")
    parser.add_argument("train", nargs="+", help="what `retinue train` is given")
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
        run_config=RunConfig(failure_config=FailureConfig(max_failures=options.restarts)),
    ).fit()


if __name__ == "__main__":
    main()

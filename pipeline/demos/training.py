"""Training for the demos."""

from pathlib import Path

from retinue.configs.errors import RetinueError
from retinue.configs.schema import Config
from retinue.pipeline.runs.run import Run
from retinue.pipeline.training.train import train
from retinue.tasks.scores import Scores


def train_and_score(data: Path, config: Config, out: Path, command: str) -> tuple[Run, Scores]:
    """Train on data that has a test set.

    Args:
        data: The data source.
        config: The configuration.
        out: The run folder.
        command: The command, for `run.json`.

    Returns:
        The run and its scores on the test set.

    Raises:
        RetinueError: Training failed, or several workers run the demo.
    """
    run, scores = train(data, config, out, command=command)
    if run is None or scores is None:
        raise RetinueError("a demo runs in a single process; start it without `retinue launch`")
    return run, scores

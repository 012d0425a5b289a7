"""`retinue demo`: the demo of each task."""

import os

from retinue.tasks.scores import Scores


def demo(task: str, out: str | os.PathLike[str] | None = None) -> Scores:
    """Run the demo of a task.

    Args:
        task: "classification", "detection", "segmentation" or "video".
        out: Folder for everything that the demo writes; by default the next free runs/demo-NNN.

    Returns:
        The scores of the trained model.

    Raises:
        RetinueError: The images could not be downloaded, or a stage failed.
    """
    if task == "detection":
        from retinue.pipeline.demos.demo_detection import demo as run_demo
    elif task == "segmentation":
        from retinue.pipeline.demos.demo_segmentation import demo as run_demo
    elif task == "video":
        from retinue.pipeline.demos.demo_video import demo as run_demo
    else:
        from retinue.pipeline.demos.demo_classification import demo as run_demo
    return run_demo(out)

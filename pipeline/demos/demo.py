"""`retinue demo`: each task on real pictures that packages carry, from the first look at the data to an export."""


def demo(task, out=None):
    """Run the demo of a task in the folder `out`, by default the next free runs/demo-NNN. Returns the `Scores`."""
    if task == "detection":
        from retinue.pipeline.demos.demo_detection import demo
    elif task == "segmentation":
        from retinue.pipeline.demos.demo_segmentation import demo
    elif task == "video":
        from retinue.pipeline.demos.demo_video import demo
    else:
        from retinue.pipeline.demos.demo_classification import demo
    return demo(out)

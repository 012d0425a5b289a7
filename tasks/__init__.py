"""The tasks, by name. Someone who adds a task adds its folder and one line here."""

from retinue.configs.errors import UsageError
from retinue.configs.quiet import import_tensorflow


def create(config, classes, multi_label=False):
    """The `Task` that `config.task` names, for the class names `classes`. It imports TensorFlow."""
    import_tensorflow()
    if config.task == "classification":
        from retinue.tasks.classification.task import Classification

        return Classification(config, classes, multi_label)
    if config.task == "detection":
        from retinue.tasks.detection.task import Detection

        return Detection(config, classes)
    if config.task == "segmentation":
        from retinue.tasks.segmentation.task import Segmentation

        return Segmentation(config, classes)
    if config.task == "video":
        from retinue.tasks.video.task import Video

        return Video(config, classes)
    raise UsageError(
        f"unknown task '{config.task}'; this version knows: classification, detection, segmentation, video"
    )

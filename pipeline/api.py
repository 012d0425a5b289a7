"""The Python interface: the commands as functions. Options that the command line gives to `--set` are keywords here."""

from retinue.configs.load import load_config
from retinue.configs.quiet import import_tensorflow


def check(data, task="auto", **settings):
    """Check a data source. Returns the `CheckReport` of data/checking/check_report.py. Imports no TensorFlow.

    data: folder, CSV file or "tfds:NAME". settings: dotted configuration keys with `__` for the dot, for example
    `data__max_pixels=10_000_000`.
    """
    from retinue.pipeline.inputs.prepare import config_for, inspect

    options = {key.replace("__", "."): value for key, value in settings.items()}
    return inspect(data, config_for(data, None if task == "auto" else task, options=options), task=task)


def train(data, out=None, recipe=None, resume=False, **settings):
    """Fine-tune a model. Returns (`Run`, `Scores`); see pipeline/training/train.py.

    recipe: name or path. settings: as for `check`, for example `model__backbone="keras/ResNet50"`.
    """
    from retinue.pipeline.inputs.prepare import config_for
    from retinue.pipeline.training.train import train

    config = None
    if not resume or recipe or settings:
        options = {key.replace("__", "."): value for key, value in settings.items()}
        config = config_for(data, options.pop("task", None), recipe, options=options)
    return train(data, config, out, resume=resume, command="retinue.train")


def evaluate(model, data, split=None, runtime="auto", precision="auto"):
    """`Scores` of a run folder or an export on data with known answers; see pipeline/evaluation/evaluate.py."""
    import_tensorflow()
    from retinue.pipeline.evaluation.evaluate import evaluate

    return evaluate(model, data, split=split, runtime=runtime, precision=precision)


def predict(model, sources, out, **options):
    """Run a model over files; see pipeline/prediction/predict.py for the options."""
    import_tensorflow()
    from retinue.pipeline.prediction.predict import predict

    return predict(model, sources, out, **options)


def export(run, out, **options):
    """Export a run. options: fields of `ExportOptions`; see pipeline/exporting/export.py."""
    import_tensorflow()
    from retinue.pipeline.exporting.export import export
    from retinue.pipeline.exporting.options import ExportOptions

    return export(run, out, ExportOptions(**options))


def explain_photos(model, images=(), out="explanations", **options):
    """Show what a model looks at. options: fields of `ExplainOptions`; see pipeline/explaining/explain.py."""
    import_tensorflow()
    from retinue.pipeline.explaining.explain import explain
    from retinue.pipeline.explaining.options import ExplainOptions

    return explain(model, images, out, ExplainOptions(**options))


def flow(sources, out, **options):
    """Compute and store the optical flow of clips; see pipeline/flow.py for the options. Imports no TensorFlow."""
    from retinue.pipeline.flow import extract

    return extract(sources, out, **options)


def build(task, classes, recipe=None, multi_label=False, **settings):
    """The untrained `TaskModel` of a task for the class names `classes`."""
    import_tensorflow()
    from retinue import tasks

    return tasks.create(_config(recipe, {"task": task, **settings}), classes, multi_label).build()


def load(path):
    """The trained Keras `TaskModel` of a run folder."""
    import_tensorflow()
    from retinue.pipeline.runs.run import open_model

    return open_model(path).build()


def _config(recipe, settings):
    return load_config(recipe, options={key.replace("__", "."): value for key, value in settings.items()})

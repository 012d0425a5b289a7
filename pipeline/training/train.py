"""`retinue train`: from a data source to a run folder with a model, its score and a report."""

import contextlib
import logging
import os
import shlex
import time
from pathlib import Path

from retinue import backbones, tasks
from retinue.configs import logs
from retinue.configs.errors import PreemptedError, RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.configs.quiet import import_tensorflow
from retinue.data.checking.summary import log_problems, problem_lines
from retinue.data.finding import BAD
from retinue.pipeline.evaluation import bf16_proof
from retinue.pipeline.evaluation.evaluate import score_lines
from retinue.pipeline.inputs.prepare import prepare
from retinue.pipeline.runs.progress import Progress
from retinue.pipeline.runs.run import Run, device, next_folder, now, open_model, refuse_existing
from retinue.pipeline.runs.split_file import SPLIT_FILE, split_csv
from retinue.pipeline.training import distribute
from retinue.pipeline.training.step_settings import refuse_step, step_lines

logger = logging.getLogger(__name__)


def train(source, config=None, out=None, *, resume=False, command=""):
    """Fine-tune a model on `source` and leave everything in the run folder `out`.

    source: folder, CSV file or tfds:NAME. config: `Config`, by default the default one. out: the run folder, by
    default the next free one under runs/. resume: go on with the run in `out`, by its own configuration; `config` must
    then be None. command: kept in `run.json`.
    Returns (`Run`, `Scores`, or None when no files were held out); in workers other than the chief two Nones.
    Raises RetinueError or UsageError; when it could not start, no folder is left. PreemptedError, a RetinueError, says
    that what is saved goes on with `resume`.
    """
    began = time.perf_counter()
    if resume:
        run, config = _open_for_resume(out, config)
    else:
        config = config or load_config()
        backbones.find(config.model.backbone)  # a wrong name is told before anything is done
        if out is not None:
            refuse_existing(out)  # and this before others are waited for, without whom no folder is made
    distribution = None
    if distribute.are_several(config.train.strategy):
        distribution = distribute.start(config.train.strategy)  # before TensorFlow has run anything
    is_chief = distribution is None or distribution.is_chief
    with contextlib.nullcontext() if is_chief else logs.errors_only():
        return _train(source, config, out, run if resume else None, command, distribution, began)


def _train(source, config, out, run, command, distribution, began):
    """The same once it is known with whom. run: the `Run` to go on with, or None."""
    resume = run is not None
    dataset, report = prepare(source, config)
    log_problems(report)
    if resume:
        _same_data(run, dataset)
    if config.train.batch_size == "auto":  # what is tried in other processes needs room on a GPU
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    import_tensorflow()  # only now, after the data has been found fit
    distribution = distribution or distribute.start(config.train.strategy)
    if config.train.batch_size == "auto":
        config = _with_batch_size(config, dataset, distribution)
    with distribution.scope():
        task, model = _build(config, dataset)
    task.prepare_dataset(dataset)
    refuse_step(config.train, distribution, len(dataset.split("train")))  # before there is a folder
    if not resume:
        folder = Path(out) if out else next_folder("runs", config.task)
        files = {SPLIT_FILE: split_csv(task, dataset)}
        described = _describe(source, dataset, report)
        if distribution.is_chief:
            run = Run.create(folder, task, command, files, dataset.class_ids, data=described)
        else:
            run = Run(folder)
    logger.info(_first_line(run, config, dataset))
    try:
        with distribute.losses_told(distribution):
            scores = _fit(run, task, model, dataset, report, resume, distribution)
    except (KeyboardInterrupt, PreemptedError) as error:
        if distribution.is_chief:
            run.add_time(time.perf_counter() - began, status="interrupted")
        cure = "start all workers again with --resume"
        if distribution.workers == 1:
            source, folder = shlex.quote(str(source)), shlex.quote(str(run.folder))
            cure = f"go on with: retinue train {source} --out {folder} --resume"
        if isinstance(error, PreemptedError):
            raise PreemptedError(f"{error}; {cure}") from error
        logger.warning(f"interrupted; {cure}")
        raise
    except Exception as error:
        if distribution.is_chief:
            run.add_time(time.perf_counter() - began, status="failed", error=str(error))
        raise
    if distribution.is_chief:
        run.add_time(time.perf_counter() - began, status="done", ended=now(), error=None)
        _log_result(run, task, scores)
    return (run, scores) if distribution.is_chief else (None, None)


def _build(config, dataset):
    """The task and its model, with the random state of the run."""
    import keras

    keras.utils.set_random_seed(config.seed)
    task = tasks.create(config, dataset.classes, dataset.multi_label)
    return task, task.build(class_counts=task.class_counts(dataset.split("train")))


def _with_batch_size(config, dataset, distribution):
    """The configuration with a number in the place of "auto", which the run then keeps."""
    from retinue.pipeline.training.batch_size_search import find_batch_size, refuse_auto

    refuse_auto(distribution)
    task = tasks.create(config, dataset.classes, dataset.multi_label)
    size = find_batch_size(config, task, dataset.split("train"))
    return config.model_copy(update={"train": config.train.model_copy(update={"batch_size": size})})


def _fit(run, task, model, dataset, report, resume, distribution):
    """The `Scores`, or None without files held out, and of workers other than the chief."""
    from retinue.pipeline.evaluation.evaluate import Evaluation, predictions
    from retinue.pipeline.explaining.training_maps import maps_callback
    from retinue.pipeline.training.trainer import Trainer

    held_out = dataset.split("val")
    looks = len(held_out) and distribution.is_chief
    validate = Evaluation(task, model, held_out) if looks else None
    callbacks = maps_callback(task, held_out, run.folder / "tensorboard") if looks else []
    config = task.config
    learning, held_back = task.split_calibration(dataset.split("train"))
    progress = Progress("clips" if task.is_video else "images", bar=distribution.is_chief)
    trainer = Trainer(run, task, model, learning, validate, progress, callbacks, distribution)
    for line in [*distribution.lines(trainer.batch_size), *step_lines(config.train, trainer.batch_size)]:
        logger.info(line)
    if resume and not trainer.can_resume:
        logger.info("nothing was saved yet: starting from the beginning")
        resume = False
    if not distribution.is_chief:
        trainer.run_all(resume)
        return None
    report.write(run.folder / "check")
    run.update(status="running")
    _write_batch_pictures(run, trainer, task, held_out)
    history = trainer.run_all(resume)
    run.update(waiting=_share_waiting(history))
    model.load_weights(run.folder / "best.weights.h5")
    if len(held_back):
        batches = predictions(task, Evaluation(task, model, held_back).run, task.input_columns(held_back))
        said = [prediction for batch in batches for prediction in batch]
        logger.info(task.calibrate(model, said, held_back))
        trainer.save_best()
    scored = dataset.split("test") if (dataset.splits == "test").any() else held_out
    scores = Evaluation(task, model, scored)(interval=True) if len(scored) else None
    if scores is not None:
        run.update(proven=bf16_proof.prove(run, task, model, scored, scores))
    _report(run, task, model, dataset, scored, scores, history, report)
    return scores


def _write_batch_pictures(run, trainer, task, held_out):
    """`batch_train.jpg` and `batch_val.jpg`: what the net sees."""
    from retinue.pipeline.reports.batch_images import write_batch_pictures

    batches = {"batch_train.jpg": trainer.first_batch(training=True)}
    if len(held_out):
        batches["batch_val.jpg"] = trainer.first_batch(training=False, dataset=held_out)
    for name, batch in batches.items():
        write_batch_pictures(run.folder / name, *task.visualize_batch(*batch))


def _open_for_resume(out, config):
    if config is not None:
        raise UsageError("a resumed run goes on with its own configuration: leave out recipe, options and settings")
    if out is None:
        raise UsageError("--resume needs --out, the run folder to go on with")
    model = open_model(out)
    if model.kind != "run":
        raise UsageError(f"{out}: is an export, not a run; only a run can be resumed")
    return Run(out), model.config


def _same_data(run, dataset):
    before = run.info.get("data", {}).get("fingerprint")
    if before != dataset.fingerprint:
        raise RetinueError(
            f"{run.folder}: the data has changed since this run began (files are gone, new, or others; its split.csv "
            "lists what there was). Put it back and go on with --resume, or start a new run with another --out"
        )


def _describe(source, dataset, report):
    return {
        "source": str(source),
        "format": dataset.format,
        "files": len(dataset),
        "left_out": sum(finding.severity == BAD for finding in report.findings),
        "classes": len(dataset.classes),
        "splits": {name: int((dataset.splits == name).sum()) for name in ("train", "val", "test")},
        "fingerprint": dataset.fingerprint,
    }


def _first_line(run, config, dataset):
    uses = {"train": "to learn from", "val": "to choose the best epoch by", "test": "to test on"}
    counts = {name: int((dataset.splits == name).sum()) for name in uses}
    counted = ", ".join(f"{count:,} files {uses[name]}" for name, count in counts.items() if count)
    weights = "random" if config.model.weights == "none" else config.model.weights
    return (
        f"{config.task}: {config.model.backbone} with {weights} weights, {len(dataset.classes)} classes, {counted}; "
        f"seed {config.seed}; folder {run.folder}"
    )


def _share_waiting(history):
    """Share of the time of all epochs that went to waiting for data."""
    seconds = sum(row["seconds"] for row in history)
    return round(sum(row["waiting"] * row["seconds"] for row in history) / seconds, 4) if seconds else None


def _report(run, task, model, dataset, scored, scores, history, report):
    from retinue.pipeline.evaluation.evaluate import worst_pictures
    from retinue.pipeline.explaining.training_maps import with_places
    from retinue.pipeline.reports.report import MOST_WORST, write_report

    info, config = run.info, task.config
    described = info | {
        "backbone": config.model.backbone,
        "weights": config.model.weights,
        "device": device(),
        "source": info["data"]["source"],
        "fingerprint": info["data"]["fingerprint"],
        "split": str(scored.splits[0]) if len(scored) else None,
        "seconds": sum(row["seconds"] for row in history),
    }
    worst = worst_pictures(task, model, scored, scores.worst[:MOST_WORST]) if scores else []
    pictures = {"training": run.folder / "batch_train.jpg", "validation": run.folder / "batch_val.jpg"}
    write_report(
        run.folder,
        title=f"{Path(info['data']['source']).name}: {config.task}",
        config=config,
        dataset=dataset,
        run_info=described,
        history=history,
        scores=scores,
        worst_images=with_places(task, model, worst),
        check_summary=problem_lines(report),
        batch_pictures={name: path for name, path in pictures.items() if path.exists()},
    )


def _log_result(run, task, scores):
    """The last lines: the score with its interval, the worst classes, and what to run next."""
    folder = shlex.quote(str(run.folder))
    if scores is None:
        logger.warning("no files were held out, so there is no score (--set data.val_fraction=0.2 holds a fifth back)")
    else:
        for line in score_lines(scores):
            logger.info(line)
    logger.info(f"report:  {run.folder / 'report.html'}")
    yours = "YOUR_CLIPS" if task.is_video else "YOUR_PHOTOS"
    logger.info(f"next:    retinue predict {folder} {yours}/ --out results")
    logger.info(f"         retinue export {folder} --out exported")

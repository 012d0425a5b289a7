"""`retinue train`: from a data source to a run folder with a model, its score and a report."""

import contextlib
import logging
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue import backbones, tasks
from retinue.configs import logs
from retinue.configs.errors import PreemptedError, RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.configs.quiet import import_tensorflow
from retinue.configs.schema import Config
from retinue.data.checking.check_report import CheckReport
from retinue.data.checking.summary import log_problems, problem_lines
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID
from retinue.pipeline.evaluation import bf16_proof
from retinue.pipeline.evaluation.evaluate import score_lines
from retinue.pipeline.inputs.prepare import prepare, with_pixel_range
from retinue.pipeline.runs.progress import Progress
from retinue.pipeline.runs.run import Run, device, next_folder, now, open_model, refuse_existing
from retinue.pipeline.runs.split_file import SPLIT_FILE, split_csv
from retinue.pipeline.training import distribute
from retinue.pipeline.training.distribute import Distribution
from retinue.pipeline.training.training_step import describe_step, refuse_impossible_step

if TYPE_CHECKING:
    from retinue.pipeline.evaluation.evaluate import Evaluation
    from retinue.pipeline.training.trainer import Trainer
    from retinue.tasks.model import TaskModel
    from retinue.tasks.scores import Scores
    from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

TrainResult = tuple["Run | None", "Scores | None"]


def train(
    source: str | os.PathLike[str],
    config: Config | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    command: str = "",
) -> TrainResult:
    """Fine-tune a model and write everything into a run folder.

    Args:
        source: the data: a folder, a file, or tfds:NAME.
        config: the configuration; by default the default one. It must be None if `resume` is true.
        out: the run folder; by default the next free one in runs/.
        resume: whether to resume the run in `out` with its own configuration.
        command: what the user typed, which `run.json` records.

    Returns:
        The run, and its scores (None without validation and test data). In workers other than the chief, two Nones.

    Raises:
        UsageError: the arguments or the data do not fit. No folder is left if the run could not start.
        PreemptedError: SIGTERM or the loss of another worker ended the run. It can be resumed.
        RetinueError: the run failed for another reason.
    """
    started_at = time.perf_counter()
    run = None
    if resume:
        run, config = _open_for_resume(out, config)
    else:
        config = config or load_config()
        backbones.find(config.model.backbone)  # a wrong name is reported before anything is done
        if out is not None:
            refuse_existing(out)  # before the other workers are awaited
    distribution = None
    if distribute.has_several_workers(config.train.strategy):
        distribution = distribute.start(config.train.strategy)  # before TensorFlow has run anything
    is_chief = distribution is None or distribution.is_chief
    with contextlib.nullcontext() if is_chief else logs.errors_only():
        return _train(source, config, out, run, command, distribution, started_at)


def _train(
    source: str | os.PathLike[str],
    config: Config,
    out: str | os.PathLike[str] | None,
    run: Run | None,
    command: str,
    distribution: Distribution | None,
    started_at: float,
) -> TrainResult:
    """Train once the workers are known. `run` is the run to resume, or None."""
    resume = run is not None
    dataset, report = prepare(source, config)
    log_problems(report)
    if report.scale:
        logger.info(f"scale: {report.scale}")
    config = with_pixel_range(config, report)
    if run is not None:
        _check_same_data(run, dataset)
    if config.train.batch_size == "auto":  # the trials in other processes need memory on the GPU
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    import_tensorflow()  # only now, after the data has been checked
    distribution = distribution or distribute.start(config.train.strategy)
    if config.train.batch_size == "auto":
        config = _with_batch_size(config, dataset, distribution)
    with distribution.scope():
        task, model = _build(config, dataset)
    task.prepare_dataset(dataset)
    refuse_impossible_step(config.train, distribution, len(dataset.split("train")))  # before there is a folder
    if run is None:
        folder = Path(out) if out else next_folder("runs", config.task)
        run = Run(folder)
        if distribution.is_chief:
            files = {SPLIT_FILE: split_csv(task, dataset)}
            data = _describe_data(source, dataset, report)
            run = Run.create(folder, task, command, files, dataset.class_ids, data=data)
    logger.info(_first_line(run, config, dataset))
    try:
        with distribute.report_lost_worker(distribution):
            scores = _fit(run, task, model, dataset, report, resume, distribution)
    except (KeyboardInterrupt, PreemptedError) as error:
        if distribution.is_chief:
            run.add_time(time.perf_counter() - started_at, status="interrupted")
        cure = "start all workers again with --resume"
        if distribution.workers == 1:
            cure = "resume with: " + shlex.join(["retinue", "train", str(source), "--out", str(run.folder), "--resume"])
        if isinstance(error, PreemptedError):
            raise PreemptedError(f"{error}; {cure}") from error
        logger.warning(f"interrupted; {cure}")
        raise
    except Exception as error:
        if distribution.is_chief:
            run.add_time(time.perf_counter() - started_at, status="failed", error=str(error))
        raise
    if not distribution.is_chief:
        return None, None
    run.add_time(time.perf_counter() - started_at, status="done", ended=now(), error=None)
    _log_result(run, task, scores)
    return run, scores


def _build(config: Config, dataset: Dataset) -> "tuple[Task, TaskModel]":
    """Return the task and its model, with the random state of the run."""
    import keras

    keras.utils.set_random_seed(config.seed)
    task = tasks.create(config, dataset.classes, dataset.multi_label)
    return task, task.build(class_counts=task.class_counts(dataset.split("train")))


def _with_batch_size(config: Config, dataset: Dataset, distribution: Distribution) -> Config:
    """Return the configuration with the largest possible batch size in place of "auto"."""
    from retinue.pipeline.training.batch_size_search import find_batch_size, refuse_auto

    refuse_auto(distribution)
    task = tasks.create(config, dataset.classes, dataset.multi_label)
    batch_size = find_batch_size(config, task, dataset.split("train"))
    return config.model_copy(update={"train": config.train.model_copy(update={"batch_size": batch_size})})


def _fit(
    run: Run,
    task: "Task",
    model: "TaskModel",
    dataset: Dataset,
    report: CheckReport,
    resume: bool,
    distribution: Distribution,
) -> "Scores | None":
    """Return the scores; None without validation and test data, and in workers other than the chief."""
    from retinue.pipeline.evaluation.evaluate import Evaluation, predict_batches
    from retinue.pipeline.explaining.training_maps import class_map_callbacks
    from retinue.pipeline.training.trainer import Trainer

    config, is_chief = task.config, distribution.is_chief
    validation = dataset.split("val")
    validates = len(validation) > 0 and is_chief
    evaluation = Evaluation(task, model, validation) if validates else None
    callbacks = class_map_callbacks(task, model, validation, run.folder / "tensorboard") if validates else []
    train_data, calibration = task.split_calibration(dataset.split("train"))
    progress = Progress(f"{task.record_noun}s", show_bar=is_chief)
    trainer = Trainer(run, task, model, train_data, evaluation, progress, callbacks, distribution)
    for line in [*distribution.describe(trainer.batch_size), *describe_step(config.train, trainer.batch_size)]:
        logger.info(line)
    if resume and not trainer.can_resume:
        logger.info("there is no checkpoint yet: starting from the beginning")
        resume = False
    if not is_chief:
        trainer.run_all(resume)
        return None
    report.write(run.folder / "check")
    run.update(status="running")
    _write_batch_images(run, trainer, task, validation)
    history = trainer.run_all(resume)
    run.update(input_wait_fraction=_input_wait_fraction(history))
    model.load_weights(run.folder / "best.weights.h5")
    if len(calibration):
        batches = predict_batches(task, Evaluation(task, model, calibration).run, task.input_columns(calibration))
        outputs = [prediction for batch in batches for prediction in batch]
        logger.info(task.calibrate(model, outputs, calibration))
        trainer.save_best()
    scored = dataset.split("test") if (dataset.splits == "test").any() else validation
    if evaluation is None or scored is not validation:
        evaluation = Evaluation(task, model, scored)
    scores = evaluation(interval=True) if len(scored) else None
    if scores is not None:
        run.update(proven=bf16_proof.prove(run, task, model, scored, scores))
    _write_report(run, model, dataset, evaluation, scores, history, report)
    return scores


def _write_batch_images(run: Run, trainer: "Trainer", task: "Task", validation: Dataset) -> None:
    """Write `batch_train.jpg` and `batch_val.jpg`: what the model sees."""
    from retinue.pipeline.reports.batch_images import write_batch_images

    batches = {"batch_train.jpg": trainer.first_batch(training=True)}
    if len(validation):
        batches["batch_val.jpg"] = trainer.first_batch(training=False, dataset=validation)
    for name, batch in batches.items():
        write_batch_images(run.folder / name, *task.visualize_batch(*batch))


def _open_for_resume(out: str | os.PathLike[str] | None, config: Config | None) -> tuple[Run, Config]:
    if config is not None:
        raise UsageError("a resumed run keeps its own configuration; omit the recipe, options and settings")
    if out is None:
        raise UsageError("--resume needs --out, the run folder to resume")
    model = open_model(out)
    if model.kind != "run":
        raise UsageError(f"{out}: is an export, not a run; only a run can be resumed")
    return Run(out), model.config


def _check_same_data(run: Run, dataset: Dataset) -> None:
    before = run.info.get("data", {}).get("fingerprint")
    if before != dataset.fingerprint:
        raise RetinueError(
            f"{run.folder}: the data has changed since this run began (files were removed, added or changed; its "
            "split.csv lists the earlier ones). Restore the data and continue with --resume, or start a new run with "
            "another --out"
        )


def _describe_data(source: str | os.PathLike[str], dataset: Dataset, report: CheckReport) -> dict[str, Any]:
    return {
        "source": str(source),
        "format": dataset.format,
        "files": len(dataset),
        "invalid_files": sum(finding.severity == INVALID for finding in report.findings),
        "classes": len(dataset.classes),
        "splits": _split_counts(dataset),
        "fingerprint": dataset.fingerprint,
    }


def _split_counts(dataset: Dataset) -> dict[str, int]:
    return {name: int((dataset.splits == name).sum()) for name in ("train", "val", "test")}


def _first_line(run: Run, config: Config, dataset: Dataset) -> str:
    uses = {"train": "training", "val": "validation", "test": "test"}
    counts = ", ".join(f"{count:,} {uses[name]} files" for name, count in _split_counts(dataset).items() if count)
    weights = "random" if config.model.weights == "none" else config.model.weights
    return (
        f"{config.task}: {config.model.backbone} with {weights} weights, {len(dataset.classes)} classes, {counts}; "
        f"seed {config.seed}; folder {run.folder}"
    )


def _input_wait_fraction(history: Sequence[dict[str, Any]]) -> float | None:
    """Return the fraction of the time of all epochs that was spent waiting for data."""
    seconds = sum(row["seconds"] for row in history)
    return round(sum(row["input_wait_fraction"] * row["seconds"] for row in history) / seconds, 4) if seconds else None


def _write_report(
    run: Run,
    model: "TaskModel",
    dataset: Dataset,
    evaluation: "Evaluation",
    scores: "Scores | None",
    history: Sequence[dict[str, Any]],
    report: CheckReport,
) -> None:
    from retinue.pipeline.evaluation.evaluate import worst_images
    from retinue.pipeline.explaining.training_maps import add_class_maps
    from retinue.pipeline.reports.report import MAX_WORST, ReportData, write_report

    task, scored = evaluation.task, evaluation.dataset
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
    worst = worst_images(evaluation, scores.worst[:MAX_WORST]) if scores else []
    images = {"training": run.folder / "batch_train.jpg", "validation": run.folder / "batch_val.jpg"}
    write_report(
        run.folder,
        ReportData(
            title=f"{Path(info['data']['source']).name}: {config.task}",
            task=task,
            dataset=dataset,
            scores=scores,
            worst_images=add_class_maps(task, model, worst),
            history=history,
            run_info=described,
            check_summary=problem_lines(report),
            batch_images={name: path for name, path in images.items() if path.exists()},
        ),
    )


def _log_result(run: Run, task: "Task", scores: "Scores | None") -> None:
    """Log the score with its interval, the worst classes, and the next commands."""
    folder = shlex.quote(str(run.folder))
    if scores is None:
        logger.warning("there is no validation data, so there is no score (--set data.val_fraction=0.2 sets it aside)")
    else:
        for line in score_lines(scores):
            logger.info(line)
    logger.info(f"report:  {run.folder / 'report.html'}")
    logger.info(f"next:    retinue predict {folder} YOUR_{task.record_noun.upper()}S/ --out results")
    logger.info(f"         retinue export {folder} --out exported")

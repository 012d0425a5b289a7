"""`retinue train`: from a data source to a run folder with a model, its score and a report."""

import os
import time
from pathlib import Path

import numpy as np

from retinue import backbones, tasks
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.check_report import problem_lines
from retinue.pipeline.doctor import device
from retinue.pipeline.evaluate import headline, truth_names, worst_classes
from retinue.pipeline.prepare import prepare
from retinue.pipeline.progress import Progress
from retinue.pipeline.run import Run, next_folder, now, open_model, refuse_existing

WORST = 20  # pictures in the report


def train(source, config, out=None, *, resume=False, command="", say=print):
    """Fine-tune a model on `source` and leave everything in the run folder `out`.

    source: folder, CSV file or tfds:NAME. config: `Config`. out: the run folder, by default the next free one under
    runs/. resume: go on with the run in `out`, by its own configuration. command: kept in `run.json`.
    say: prints a line. Returns (`Run`, `Scores`). Raises RetinueError or UsageError.
    """
    began = time.perf_counter()
    backbones.find(config.model.backbone)  # a wrong name is told before anything is done
    if resume:
        run, config = _open_for_resume(out)
    elif out is not None:
        refuse_existing(out)
    dataset, report = prepare(source, config, say=say)
    for line in problem_lines(report):
        say(line)
    if resume:
        _same_data(run, dataset)
    else:
        folder = out or next_folder("runs", config.task)
        run = Run.create(folder, config, dataset.classes, dataset.multi_label, command)
        run.update(data=_describe(source, dataset))
        run.write_rows("split.csv", _split_rows(dataset))
    report.write(run.folder / "check")
    try:
        scores = _train(run, config, dataset, report, resume, say)
    except KeyboardInterrupt:
        run.update(status="interrupted")
        say(f"interrupted; go on with: retinue train {source} --out {run.folder} --resume")
        raise
    except Exception as error:
        run.update(status="failed", error=str(error))
        raise
    run.update(status="done", ended=now(), seconds=round(time.perf_counter() - began, 1))
    _say_result(run, scores, say)
    return run, scores


def _train(run, config, dataset, report, resume, say):
    import keras  # TensorFlow is imported here, after the data has been found fit

    from retinue.pipeline.evaluate import Evaluation
    from retinue.pipeline.fit import Fitting

    keras.utils.set_random_seed(config.seed)
    task = tasks.create(config, dataset.classes, dataset.multi_label)
    learning = dataset.split("train")
    held_out = dataset.split("val")
    model = task.build(class_counts=learning.class_counts())
    say(
        f"{config.task}: {config.model.backbone} ({config.model.weights} weights), {len(dataset.classes)} classes, "
        f"{len(learning)} files to learn from, {len(held_out)} held out; seed {config.seed}; folder {run.folder}"
    )
    checkpoint = run.folder / "last" / "checkpoint.npz"
    if resume and not checkpoint.exists():
        say("nothing was saved yet: starting from the beginning")
        resume = False
    validate = Evaluation(task, model, held_out) if len(held_out) else None
    fitting = Fitting(run, task, model, learning, validate, Progress(say))
    run.update(status="running")
    history = fitting.run_all(resume)
    model.load_weights(run.folder / "best.weights.h5")
    scored = dataset.split("test") if (dataset.splits == "test").any() else held_out
    if not len(scored):
        return None
    scores = Evaluation(task, model, scored)(interval=True)
    _report(run, task, model, dataset, scored, scores, history, report)
    return scores


def _open_for_resume(out):
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
            f"{run.folder}: the data has changed since this run began "
            f"(fingerprint {before}, now {dataset.fingerprint}); start a new run with another --out"
        )


def _describe(source, dataset):
    counts = {name: int((dataset.splits == name).sum()) for name in ("train", "val", "test")}
    return {
        "source": str(source), "format": dataset.format, "files": len(dataset), "classes": len(dataset.classes),
        "splits": counts, "fingerprint": dataset.fingerprint,
    }  # fmt: skip


def _split_rows(dataset):
    return [
        {
            "file": os.path.abspath(record["file"]),
            "label": ";".join(np.atleast_1d(truth_names(dataset, record))),
            "split": record["split"],
        }
        for record in dataset
    ]


def _report(run, task, model, dataset, scored, scores, history, report):
    from retinue.pipeline.evaluate import worst_pictures
    from retinue.pipeline.report import write_report

    info, config = run.info, task.config
    described = info | {
        "backbone": config.model.backbone,
        "weights": config.model.weights,
        "device": device(),
        "source": info["data"]["source"],
        "fingerprint": info["data"]["fingerprint"],
        "split": str(scored.splits[0]),
        "seconds": sum(row["seconds"] for row in history),
    }
    write_report(
        run.folder,
        title=f"{Path(info['data']['source']).stem}: {config.task}",
        config=config,
        dataset=dataset,
        run_info=described,
        history=history,
        scores=scores,
        worst_images=worst_pictures(task, model, scored, scores.worst[:WORST]),
        check_summary=problem_lines(report),
    )


def _say_result(run, scores, say):
    """The last lines: the score with its interval, the worst classes, and what to run next."""
    if scores is not None:
        say(headline(scores))
        for line in worst_classes(scores):
            say(line)
    say(
        f"report:  {run.folder / 'report.html'}"
        if scores is not None
        else "no files were held out, so there is no score"
    )
    say(f"next:    retinue predict {run.folder} YOUR_PHOTOS/ --out results")
    say(f"         retinue export {run.folder} --out exported")

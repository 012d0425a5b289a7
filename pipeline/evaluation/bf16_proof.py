"""The proof of bfloat16: what it makes of a run's score."""

from retinue.pipeline.runtimes.bf16_bias_correction import MIN_FILES, correct, is_native


def prove(run, task, net, dataset, scores):
    """What bf16 makes of the score, for `run.json`; None where it can't be told or would be no faster.

    run: `Run` that is done; net: its `TaskModel`; dataset: what it was scored on; scores: its `Scores` in f32.
    """
    from retinue.pipeline.evaluation.evaluate import score
    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.runtimes import openvino_runtime, runtimes

    if scores.value is None or len(dataset) < MIN_FILES or not runtimes.has_openvino() or not is_native():
        return None
    converted = runtimes.convert(runtimes.trace(task.inference(net)))
    correct(converted, open_model(run.folder))
    again = score(task, openvino_runtime.OpenVINORuntime(converted, "bf16"), dataset, interval=False)
    return {"score": scores.primary_metric, "files": len(dataset), "f32": scores.value, "bf16": again.value}

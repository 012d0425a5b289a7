"""`retinue demo video`: views and camera moves, from real footage to the predictions of an export."""

import logging
import os
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.demos.training import train_and_score
from retinue.pipeline.demos.virtual_camera import MOVES, VIEWS, camera_clips
from retinue.pipeline.exporting.export import export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.flow import extract_flow
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder, to_csv
from retinue.tasks.scores import Scores

logger = logging.getLogger(__name__)


def demo(out: str | os.PathLike[str] | None = None) -> Scores:
    """Run the demo: write the clips, compute optical flow, train, export, and predict the test clips.

    Args:
        out: Folder for everything that the demo writes; by default the next free runs/demo-NNN.

    Returns:
        The scores on the test clips.

    Raises:
        RetinueError: The footage could not be downloaded, or a stage failed.
    """
    folder = Path(out) if out else next_folder("runs", "demo")
    start = time.perf_counter()
    clips = camera_clips(folder / "clips")
    logger.info(
        f"{len(VIEWS)} views x {len(MOVES)} moves of a virtual camera over real footage; one take is for training, the "
        f"other one for testing; clips: {clips}"
    )
    config = load_config("camera-moves", options={"video.flow_folder": str((folder / "flow").resolve())})
    video = config.video
    extract_flow([clips], folder / "flow", method=video.flow_method, bound=video.flow_bound, size=video.frame_size)
    run, scores = train_and_score(clips, config, folder / "run", "retinue demo video")
    logger.info(f"\n{(time.perf_counter() - start) / 60:.1f} minutes for download and training")
    logger.info("  stream      class       view       move   view if move correct   move if view correct")
    accuracies = view_and_move_accuracy(scores)
    for row, accuracy in zip(scores.tables["streams"], accuracies, strict=True):
        logger.info(
            f"  {row['stream']:<9} {row['accuracy']:>7.1%} {accuracy['view']:>10.1%} {accuracy['move']:>10.1%} "
            f"{accuracy['view_if_move_correct']:>22.1%} {accuracy['move_if_view_correct']:>22.1%}"
        )
    logger.info(f"  chance {1 / len(VIEWS) / len(MOVES):>10.1%} {1 / len(VIEWS):>10.1%} {1 / len(MOVES):>10.1%}")
    atomic_write(run.folder / "view_and_move.csv", to_csv(accuracies))
    export(run.folder, folder / "export", ExportOptions(formats=("savedmodel", "openvino")))
    predict(folder / "export", [folder / "clips" / "test"], folder / "predictions")
    return scores


def view_and_move_accuracy(scores: Scores) -> list[dict[str, str | float]]:
    """Compute the accuracy of each stream on the two parts of a class, the view and the move.

    Args:
        scores: Scores of a two-stream model whose classes are called "VIEW, MOVE".

    Returns:
        One dict per stream: `stream`; `view` and `move`, the fraction of clips whose prediction is correct in that
        part; `view_if_move_correct` and `move_if_view_correct`, the same among the clips whose other part is correct.
    """
    rows: list[dict[str, str | float]] = []
    for name, table in (("spatial", "confusion_spatial"), ("temporal", "confusion_temporal"), ("both", "confusion")):
        counts = {"all": 0, "view": 0, "move": 0, "both": 0}
        for row in scores.tables[table]:
            (_, truth), *cells = row.items()
            for predicted, count in cells:
                view, move = (a == b for a, b in zip(truth.split(", "), predicted.split(", "), strict=True))
                counts["all"] += count
                counts["view"] += count * view
                counts["move"] += count * move
                counts["both"] += count * (view and move)
        fractions = {
            "view": counts["view"] / counts["all"],
            "move": counts["move"] / counts["all"],
            "view_if_move_correct": counts["both"] / max(counts["move"], 1),
            "move_if_view_correct": counts["both"] / max(counts["view"], 1),
        }
        rows.append({"stream": name} | {key: round(fraction, 4) for key, fraction in fractions.items()})
    return rows

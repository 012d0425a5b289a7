"""`retinue demo video`: views and camera moves, from real footage to the answers of an export."""

import logging
import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.demos.virtual_camera import MOVES, VIEWS, camera_clips
from retinue.pipeline.exporting.export import export
from retinue.pipeline.flow import extract
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.runs.run import next_folder, to_csv
from retinue.pipeline.training.train import train

logger = logging.getLogger(__name__)


def demo(out=None):
    """Run the demo in the folder `out`: clips, flow, run, export and predictions. Returns the `Scores`."""
    folder = Path(out) if out else next_folder("runs", "demo")
    began = time.perf_counter()
    clips = camera_clips(folder / "clips")
    logger.info(
        f"{len(VIEWS)} views x {len(MOVES)} moves of a virtual camera over real footage; one take is learned from, "
        f"the other tested on; clips: {clips}"
    )
    config = load_config("camera-moves", options={"video.flow_folder": str((folder / "flow").resolve())})
    video = config.video
    extract([clips], folder / "flow", method=video.flow_method, bound=video.flow_bound, size=video.frame_size)
    run, scores = train(clips, config, folder / "run", command="retinue demo video")
    logger.info(f"\n{(time.perf_counter() - began) / 60:.1f} minutes of fetching and training")
    logger.info(
        "  stream     right   its view   its move   the view where the move is right   the move where the view is right"
    )
    parts = parts_of_classes(scores)
    for row, part in zip(scores.tables["streams"], parts, strict=True):
        logger.info(
            f"  {row['stream']:<9} {row['accuracy']:>6.1%} {part['view']:>10.1%} {part['move']:>10.1%} "
            f"{part['view_of_move']:>22.1%} {part['move_of_view']:>28.1%}"
        )
    logger.info(f"  chance {1 / len(VIEWS) / len(MOVES):>9.1%} {1 / len(VIEWS):>10.1%} {1 / len(MOVES):>10.1%}")
    atomic_write(run.folder / "view_and_move.csv", to_csv(parts))
    export(run.folder, folder / "export", to=("savedmodel", "openvino"))
    predict(folder / "export", [folder / "clips" / "test"], folder / "predictions")
    return scores


def parts_of_classes(scores):
    """What each stream knows of a class's two parts: a dict a stream, with `stream`, `view` and `move`, the share of
    the clips whose answer is right in that part, and `view_of_move` (`move_of_view`), the same among the clips whose
    move (view) is right.
    """
    rows = []
    for name, table in (("spatial", "confusion_spatial"), ("temporal", "confusion_temporal"), ("both", "confusion")):
        counts = {"all": 0, "view": 0, "move": 0, "both": 0}
        for row in scores.tables[table]:
            (_, truth), *cells = row.items()
            for said, count in cells:
                same = [one == other for one, other in zip(truth.split(", "), said.split(", "), strict=True)]
                counts["all"] += count
                counts["view"] += count * same[0]
                counts["move"] += count * same[1]
                counts["both"] += count * all(same)
        shares = {part: counts[part] / counts["all"] for part in ("view", "move")}
        shares |= {
            "view_of_move": counts["both"] / max(counts["move"], 1),
            "move_of_view": counts["both"] / max(counts["view"], 1),
        }
        rows.append({"stream": name} | {part: round(share, 4) for part, share in shares.items()})
    return rows

"""`retinue demo segmentation`: nuclei under the microscope, from a photo with masks to the masks of an export."""

import time
from pathlib import Path

from retinue.configs.load import load_config
from retinue.pipeline.export import export
from retinue.pipeline.nuclei import nuclei
from retinue.pipeline.predict import predict
from retinue.pipeline.run import next_folder
from retinue.pipeline.train import train


def demo(out=None, say=print):
    """Run the demo in the folder `out`: tiles, run, export and masks. Returns the `Scores` of the held-out region."""
    folder = Path(out) if out else next_folder("runs", "demo")
    began = time.perf_counter()
    tiles = nuclei(folder / "tiles", say)
    say(f"nuclei: one photo, of which one region is learned from and another tested on; tiles: {tiles}")
    run, scores = train(tiles, load_config("nuclei"), folder / "run", command="retinue demo segmentation", say=say)
    say(f"\n{(time.perf_counter() - began) / 60:.1f} minutes of fetching and training\n")
    export(run.folder, folder / "export", to=("savedmodel", "openvino"), say=say)
    held_out = folder / "tiles" / "test" / "images"
    predict(folder / "export", [held_out], folder / "predictions", overlay=True, say=say)
    return scores

"""An annotation file as large as COCO train2017's is read in seconds and in little memory."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from retinue.benchmarks.coco_reading import BOXES, IMAGES, write

READ = """
import json, resource, sys, time
from retinue.data.readers.read import read
data = read(sys.argv[1])
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
found = {"images": len(data), "boxes": len(data.columns["labels"].values), "findings": len(data.findings)}
print(json.dumps(found | {"seconds": time.process_time(), "memory": memory}))
"""


@pytest.mark.slow
def test_a_file_of_the_size_of_train2017(tmp_path):
    write(tmp_path / "instances.json", polygons=True)
    Image.new("RGB", (8, 8)).save(tmp_path / f"{0:012d}.jpg")
    done = subprocess.run([sys.executable, "-c", READ, tmp_path / "instances.json"], capture_output=True, text=True)
    reported = json.loads(done.stdout)
    assert (reported["images"], reported["boxes"], reported["findings"]) == (IMAGES, BOXES, 0)
    assert reported["memory"] < 1.5  # GiB
    assert reported["seconds"] < 15  # of the processor, so that a busy machine changes nothing

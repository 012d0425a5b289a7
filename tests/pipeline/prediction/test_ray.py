"""Tests of `predict --engine ray`: the pool, the death of workers and of the command, files at addresses."""

import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retinue.benchmarks.kill_predict import Job, compare, kill_until_done
from retinue.configs.errors import UsageError
from retinue.data.storage.file_names import looks_like_image
from retinue.data.storage.scratch import scratch_folder
from retinue.pipeline.inputs.remote_files import fetch, find_remote_files
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.prediction.ray_engine import _Chunk, divide_machines
from retinue.pipeline.runs.model_files import fingerprint, model_bytes, model_folder

COMPARED = ("predictions.jsonl", "predictions.csv", "failures.jsonl")


@pytest.mark.parametrize(
    ("machines", "workers", "uses_gpus", "expected"),
    [
        ([(2, 0)], None, True, (1, 2, 0)),  # as the local engine
        ([(2, 0)], 2, True, (2, 1, 0)),
        ([(4, 0), (16, 0)], None, False, (5, 4, 0)),  # the larger machine is used up, too
        ([(8, 0), (8, 0)], 3, False, (3, 4, 0)),  # two of them fit on one machine
        ([(16, 4), (8, 4)], None, True, (8, 2, 1)),
        ([(16, 4), (8, 4)], None, False, (3, 8, 0)),
        ([(16, 4), (8, 0)], None, True, (3, 8, 0)),  # a worker with a GPU can't run on the second machine
        ([(8, 1)], 2, True, (2, 4, 0.5)),
    ],
)
def test_workers_divide_the_machines(machines, workers, uses_gpus, expected):
    assert divide_machines(machines, workers, uses_gpus) == expected


def test_more_workers_than_cores_are_refused():
    with pytest.raises(UsageError, match="--num-workers 3: there are 2 cores only"):
        divide_machines([(2, 0)], 3, False)


def test_a_chunk_is_tried_again_then_file_by_file_and_a_deadly_file_becomes_a_failure():
    chunk = _Chunk(["a", "b"])
    chunk.retry()
    assert chunk.replacements == [chunk] and chunk.results is None
    chunk.retry()
    assert [part.files for part in chunk.replacements] == [["a"], ["b"]]
    deadly = chunk.replacements[0]
    for _ in range(2):
        deadly.retry()
        assert deadly.replacements == [deadly] and deadly.results is None
    deadly.retry()
    assert (
        deadly.replacements == []
        and deadly.results[0].file == "a"
        and "each of the 3 times" in deadly.results[0].reason
    )


HOLDS = """
import sys, time
from retinue.data.storage.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "large").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_temporary_files_of_a_killed_process_are_deleted_by_the_next(tmp_path):
    holding = [
        subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    killed, alive = (Path(process.stdout.readline().strip()) for process in holding)
    try:
        holding[0].kill()
        holding[0].wait()
        assert (killed / "large").exists()
        with scratch_folder(tmp_path) as own:
            assert not killed.exists() and (alive / "large").exists() and own.is_dir()
        assert not own.exists() and alive.exists()
    finally:
        holding[1].kill()
        holding[1].wait()


def test_a_model_is_copied_unless_the_folder_holds_the_same_model(tiny_model, other_model, tmp_path):
    key, content = fingerprint(tiny_model.folder), model_bytes(tiny_model.folder)
    with model_folder(tiny_model.folder, key, None) as folder:
        assert folder == tiny_model.folder
    for path in (other_model.folder, tmp_path / "nothing"):
        with model_folder(path, key, lambda: content, tmp_path) as folder:
            assert folder != path and fingerprint(folder) == key
        assert not folder.exists()


@pytest.fixture
def tree(tmp_path):
    for name in ("a10.png", "a9.png", "b/1.png", ".hidden/1.png", "notes.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 100, np.uint8)).save(path, "png")
    return tmp_path / "tree"


def test_files_at_addresses_come_in_the_order_of_local_ones(tree):
    local = list(find_files([tree]))
    assert [os.path.relpath(path, tree) for path in local] == ["a9.png", "a10.png", "b/1.png"]
    assert list(find_files([f"file://{tree}"], remote=True)) == [f"file://{path}" for path in local]
    assert list(find_remote_files(f"file://{tree}/**/*.png", looks_like_image)) == [f"file://{path}" for path in local]
    assert list(find_files([f"file://{tree}/notes.txt"], remote=True)) == [f"file://{tree}/notes.txt"]


def test_a_missing_address_is_reported_at_once(tree):
    for source, words in ((f"file://{tree}/no", "no such file"), ("nostore://a/b", "can't be looked up .*nostore")):
        with pytest.raises(UsageError, match=words):
            find_files([source], remote=True)
    with pytest.raises(UsageError, match="at an address need --engine ray"):
        find_files([f"file://{tree}"])


def test_files_are_fetched_from_a_server_and_out_of_an_archive(tree, tmp_path):
    pytest.importorskip("aiohttp")
    with zipfile.ZipFile(tree / "all.zip", "w") as archive:
        archive.write(tree / "a9.png", "in/a9.png")
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tree))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        addresses = [
            f"{base}/a9.png?signed=a/b",
            *find_remote_files(f"zip://*/*.png::file://{tree}/all.zip", looks_like_image),
        ]
        assert addresses[1] == f"zip://in/a9.png::file://{tree}/all.zip"
        for address in addresses:
            path, reason = fetch(address, tmp_path)
            assert reason is None and Path(path).read_bytes() == (tree / "a9.png").read_bytes()
        assert fetch(f"{base}/no.png", tmp_path)[1].startswith("can't be fetched: FileNotFoundError")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "rya"}, "--engine rya: unknown; use one of local, ray"),
        ({"address": "auto"}, "--address auto: this option needs --engine ray"),
        ({"num_workers": 2}, "--num-workers 2: this option needs --engine ray"),
        ({"engine": "ray", "window": 2.0}, "--window needs --engine local"),
    ],
)
def test_options_that_do_not_go_together(tiny_model, image_folder, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        predict(tiny_model, [image_folder], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def command(*arguments, home):
    """Run `retinue predict` with its own home and its own folder for temporary files. Returns the process."""
    environment = os.environ | {"HOME": str(home), "RAY_TMPDIR": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "retinue.cli", "predict", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )
    return done


def contents(out):
    return {name: (out / name).read_bytes() for name in COMPARED}


@pytest.mark.slow
def test_ray_predicts_as_the_local_engine_and_leaves_nothing(exported, image_folder, tmp_path):
    pytest.importorskip("ray")
    listed = tmp_path / "list.txt"
    (tmp_path / "text.jpg").write_text("words")
    files = [*sorted(image_folder.iterdir()), f"file://{tmp_path}/text.jpg", f"file://{tmp_path}/gone.jpg"]
    files += [f"file://{image_folder}/2.png", tmp_path / "text.jpg"]
    listed.write_text("\n".join(map(str, files)))
    home = Path("/tmp") / f"ray-{os.getpid()}"  # Ray's sockets need a short path
    home.mkdir()
    try:
        done = command(exported, f"@{listed}", "--out", tmp_path / "ray", "--engine", "ray", "--overlay", home=home)
        left = [*home.glob(".ray"), *home.glob("ray"), *home.glob("retinue-*/[!.]*")]
    finally:
        subprocess.run(["rm", "-rf", home])
    printed = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 3 and not left, printed
    assert printed[0].startswith("Runtime: ") and printed[1].startswith("Ray ") and "on 1 machine" in printed[1]
    assert printed[2].startswith("9 images, 3 failures") and len(printed) == 7, printed
    local = tmp_path / "local"
    predict(exported, [file for file in files if "://" not in str(file)], local, overlay=True)
    predictions, failures = ((tmp_path / "ray" / name).read_text().splitlines() for name in COMPARED[::2])
    here = (local / "predictions.jsonl").read_text().splitlines()
    assert predictions[:8] == here
    assert predictions[8].replace("file://", "") in here
    text, missing, other = (json.loads(line) for line in failures)
    assert text["reason"] == other["reason"] == json.loads((local / "failures.jsonl").read_text())["reason"]
    assert missing["reason"].startswith("can't be fetched: FileNotFoundError")
    drawn = [path for path in (tmp_path / "ray" / "overlays").rglob("*.jpg") if "file:" in path.parts]
    assert len(drawn) == 1 and drawn[0].read_bytes() == next(local.rglob("overlays/**/2.png.jpg")).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "detection", "segmentation", "video"])
def test_killed_workers_and_commands_lose_and_repeat_no_file(task, tmp_path):
    pytest.importorskip("ray")
    job = Job(task, tmp_path / "job", count=60 if task == "video" else 200)
    unbroken, out = tmp_path / "job" / "unbroken", tmp_path / "job" / "ray"
    job.end(unbroken, job.start(unbroken))
    commands, workers = kill_until_done(job, out, "ray", 4, random.Random(0), ("--num-workers", "2"))
    assert commands and workers
    columns, differ = compare(job, out, unbroken)
    assert columns["answered_once"] == columns["files"] == len(job.files) and not columns["answered_more"]
    assert not differ


@pytest.mark.slow
def test_ctrl_c_ends_at_once_and_the_next_run_continues(exported, image_folder, tmp_path):
    pytest.importorskip("ray")
    for number in range(8000):
        (tmp_path / "many" / f"{number}.png").parent.mkdir(exist_ok=True)
        (tmp_path / "many" / f"{number}.png").symlink_to(image_folder / "2.png")
    out, arguments = tmp_path / "out", [exported, tmp_path / "many", "--out", tmp_path / "out", "--engine", "ray"]
    running = subprocess.Popen(
        [sys.executable, "-m", "retinue.cli", "predict", *map(str, arguments), "--batch-size", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while running.poll() is None and not ((out / "predictions.jsonl").exists() and lines(out)):
        threading.Event().wait(0.02)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    printed = [line for line in running.communicate(timeout=30)[0].splitlines() if line]
    assert running.returncode == 1 and printed[-1].startswith("interrupted after ") and len(printed) == 3, printed
    assert json.loads((out / "predict.json").read_text())["status"] == "interrupted"
    done = lines(out)
    summary = predict(exported, [tmp_path / "many"], out)
    assert 0 < done == summary.skipped < 8000 and lines(out) == 8000


def lines(out):
    return (out / "predictions.jsonl").read_bytes().count(b"\n")

"""Temporary changes of the process: they last until the last thread that needs them is done."""

import os
import subprocess
import sys
import threading

from retinue.configs.process_state import SharedContext, environment_variable

NAME = "RETINUE_TEST_VARIABLE"


def test_the_last_thread_undoes_the_change(monkeypatch):
    monkeypatch.setenv(NAME, "before")
    changed = SharedContext(lambda: environment_variable(NAME, "meanwhile"))
    inside, leave = threading.Event(), threading.Event()

    def other():
        with changed:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with changed:
        thread.start()
        assert inside.wait(10) and os.environ[NAME] == "meanwhile"
    assert os.environ[NAME] == "meanwhile"  # the first thread has left the context, the second has not
    leave.set()
    thread.join()
    assert os.environ[NAME] == "before"
    with changed:
        assert os.environ[NAME] == "meanwhile"
    assert os.environ[NAME] == "before"


def test_a_variable_that_was_not_set_is_removed_afterwards(monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    try:
        with environment_variable(NAME, "x"):
            assert os.environ[NAME] == "x"
            raise KeyError
    except KeyError:
        pass
    assert NAME not in os.environ


def test_the_python_api_selects_the_same_kernels_as_the_command_line():
    program = (
        "import os, sys, retinue; assert 'TF_ENABLE_ONEDNN_OPTS' not in os.environ; {}; "
        "assert 'tensorflow' in sys.modules; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    for call in ("retinue.backbone('lenet5', 'none')", "retinue.build('classification', ['a'], model__weights='none')"):
        done = subprocess.run(
            [sys.executable, "-c", program.format(call)], capture_output=True, text=True, env=environment
        )
        assert done.stdout.splitlines()[-1:] == ["1"], done.stderr

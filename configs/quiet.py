"""Importing TensorFlow without the messages that it prints at its start, past Python's own streams."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def import_tensorflow(start_devices: bool = True) -> None:
    """Import TensorFlow and Keras. What they print on the way is shown only if the import fails.

    If TensorFlow is not imported yet, two environment variables are set unless the user has set them: they select
    oneDNN's kernels and turn TensorFlow's startup messages off.

    Args:
        start_devices: Whether to initialize TensorFlow's devices as well. After that, this process can no longer join
            a cluster of machines.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow uses oneDNN's kernels by default only on processors with VNNI or AMX. On one that has only AVX2, they
    # make a training step of a ResNet-50 a fifth shorter.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with hide_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        if start_devices:
            tensorflow.constant(0)  # devices are initialized, and print messages, when they are first used
        # TensorFlow warns when a function is traced several times, which is normal for images of many sizes.
        tensorflow.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def hide_stderr() -> Iterator[None]:
    """Hide what is written to the standard error within this context, unless an exception is raised.

    The file descriptor is redirected, so that the output of C++ code is hidden, too.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
        try:
            yield
        except BaseException:
            output.seek(0)
            os.write(original, output.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)

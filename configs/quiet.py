"""Importing TensorFlow without its greetings, which it writes past Python."""

import contextlib
import os
import sys
import tempfile


def import_tensorflow(devices=True):
    """Import TensorFlow and Keras; what they write on the way is shown only when the import fails.

    Unless TensorFlow is there already, the environment variables by which it chooses oneDNN's layers and writes no
    greetings are set, where the user has not set them.

    devices: also start its devices, after which it can't join other machines any more.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By itself TensorFlow takes oneDNN's layers on some processors only, those with VNNI or AMX; a training step of a
    # ResNet-50 is a fifth shorter with them on one that has AVX2 alone.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with stderr_kept():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        if devices:
            tensorflow.constant(0)  # the devices greet at their first use
        tensorflow.get_logger().setLevel("ERROR")  # pictures of many sizes are traced a few times: no news to a user


@contextlib.contextmanager
def stderr_kept():
    """What is written to stderr within, past Python too, is shown only when something is raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as greetings:
        os.dup2(greetings.fileno(), 2)
        try:
            yield
        except BaseException:
            greetings.seek(0)
            os.write(kept, greetings.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)

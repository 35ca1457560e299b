"""ONNX Runtime with all graph optimisations.

Its threads work inside each layer, or each runs a session of its own on a share of the batch.
"""

import onnxruntime
import streams


def configurations(asked):
    """What to try."""
    return ["whole batch", "streams"] if streams.worth_trying(asked) else ["whole batch"]


class Peer:
    """Logits of the batch."""

    def __init__(self, asked):
        self.version = f"{onnxruntime.__version__} ({asked.configuration})"
        images = asked.images()
        path = str(asked.folder / "model.onnx")
        if asked.configuration == "streams":
            self.iterate = streams.Streams(images, asked.threads, lambda part: worker(path, part, threads=1))
        else:
            self.iterate = worker(path, images, asked.threads)

    def output(self):
        return self.iterate()


def worker(path, images, threads):
    """A session for a batch of this size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("batch", len(images))
    # Threads may spin inside a run, which is faster, but not after it, when another system is measured.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["logits"], {"input": images})[0]

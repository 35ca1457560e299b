"""OpenVINO with each of its two performance hints: all threads on the whole batch, or a stream per share of it."""

import numpy as np
import openvino
import streams

STREAMS, SINGLE_IMAGES = "throughput, a share per stream", "throughput, single images"


def configurations(asked):
    """What to try. A share per stream needs shares of one size, since a compiled model has one shape."""
    names = ["latency, whole batch"]
    if streams.worth_trying(asked):
        names += [STREAMS] if asked.batch % asked.threads == 0 else []
        names += [SINGLE_IMAGES]
    return names


class Peer:
    """Logits of the batch."""

    def __init__(self, asked):
        self.version = f"{openvino.__version__.split('-')[0]} ({asked.configuration})"
        self.images = asked.images()
        size = {STREAMS: asked.batch // asked.threads, SINGLE_IMAGES: 1}.get(asked.configuration, asked.batch)
        self.parts = [self.images[start : start + size] for start in range(0, asked.batch, size)]
        compiled = self.compiled(asked, size)
        requests = max(asked.threads, compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.queue = openvino.AsyncInferQueue(compiled, min(requests, len(self.parts)))
        self.results = [None] * len(self.parts)
        self.queue.set_callback(self.keep)

    def compiled(self, asked, size):
        """The network for batches of `size` images."""
        core = openvino.Core()
        model = core.read_model(asked.folder / "model.onnx")
        model.reshape([size, 3, asked.height, asked.width])
        whole = size == asked.batch
        properties = {
            "INFERENCE_NUM_THREADS": asked.threads,
            "INFERENCE_PRECISION_HINT": {"f32": "f32", "bf16": "bf16"}[asked.precision],
            "PERFORMANCE_HINT": "LATENCY" if whole else "THROUGHPUT",
            "NUM_STREAMS": 1 if whole else asked.threads,
        }
        return core.compile_model(model, "CPU", properties)

    def keep(self, request, place):
        """Called as a share is done."""
        self.results[place] = request.get_output_tensor(0).data.copy()

    def iterate(self):
        for place, part in enumerate(self.parts):
            self.queue.start_async({0: part}, place, share_inputs=True)
        self.queue.wait_all()

    def output(self):
        self.iterate()
        return np.concatenate(self.results)

"""MNN at high precision, which is float32; Winograd convolutions are its default.

Tried are its two interfaces, its memory modes, images one by one, and a session of one thread per share of the batch.
"""

import MNN
import numpy as np
import streams

MODULES = {"module, normal memory": "normal", "module, high memory": "high", "module, low memory": "low"}
SESSION, SINGLE_IMAGES, STREAMS = "session, whole batch", "session, single images", "session, streams"


def configurations(asked):
    """What to try."""
    return [*MODULES, SESSION, SINGLE_IMAGES, *([STREAMS] if streams.worth_trying(asked) else [])]


class Peer:
    """Logits of the batch."""

    def __init__(self, asked):
        if asked.precision != "f32":
            raise ValueError("MNN is measured in float32 only")
        self.version = f"{MNN.version()} ({asked.configuration})"
        images = asked.images()
        path = str(asked.folder / "model.mnn")
        if asked.configuration in MODULES:
            self.iterate = module_worker(path, images, asked.threads, MODULES[asked.configuration])
        elif asked.configuration == STREAMS:
            self.iterate = streams.Streams(images, asked.threads, lambda part: session_worker(path, part, 1))
        elif asked.configuration == SINGLE_IMAGES:
            one = session_worker(path, images[:1], asked.threads)
            self.iterate = lambda: np.concatenate([one(images[place : place + 1]) for place in range(len(images))])
        else:
            self.iterate = session_worker(path, images, asked.threads)

    def output(self):
        return self.iterate()


def module_worker(path, images, threads, memory):
    """MNN's present interface."""
    settings = {"backend": "CPU", "precision": "high", "memory": memory, "power": "high", "numThread": threads}
    runtime = MNN.nn.create_runtime_manager((settings,))
    module = MNN.nn.load_module_from_file(path, ["input"], ["logits"], runtime_manager=runtime, shape_mutable=False)

    def iterate():
        given = MNN.expr.const(images, list(images.shape), MNN.expr.NCHW)
        return np.array(module.forward([given])[0].read(), dtype=np.float32, copy=True)

    return iterate


def session_worker(path, images, threads):
    """MNN's older interface, which keeps its shapes fixed between runs."""
    interpreter = MNN.Interpreter(path)
    session = interpreter.createSession({"backend": "CPU", "precision": "high", "numThread": threads})
    given = interpreter.getSessionInput(session)
    interpreter.resizeTensor(given, images.shape)
    interpreter.resizeSession(session)

    def iterate(images=images):
        given.copyFrom(MNN.Tensor(images.shape, MNN.Halide_Type_Float, images, MNN.Tensor_DimensionType_Caffe))
        interpreter.runSession(session)
        result = interpreter.getSessionOutput(session)
        shape = result.getShape()
        empty = np.zeros(shape, np.float32)
        host = MNN.Tensor(shape, MNN.Halide_Type_Float, empty, MNN.Tensor_DimensionType_Caffe)
        result.copyToHostTensor(host)
        return np.array(host.getNumpyData(), dtype=np.float32, copy=True)

    return iterate

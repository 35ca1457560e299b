"""ncnn, which takes one image at a time: it is made for latency on small devices, and a batch is a loop.

The threads work inside each layer, as ncnn means them to, or each on images of its own where its Python module lets
other threads run meanwhile.
"""

import ncnn
import numpy as np
import streams


def configurations(asked):
    """What to try."""
    return ["image by image", "image by image, streams"] if streams.worth_trying(asked) else ["image by image"]


class Peer:
    """Logits of the batch."""

    def __init__(self, asked):
        if asked.precision != "f32":
            raise ValueError("ncnn is measured in float32 only")
        self.version = f"{ncnn.__version__} ({asked.configuration})"
        images = asked.images()
        if asked.configuration.endswith("streams"):
            self.iterate = streams.Streams(images, asked.threads, lambda part: worker(asked.folder, part, threads=1))
        else:
            self.iterate = worker(asked.folder, images, asked.threads)

    def output(self):
        return self.iterate()


def worker(folder, images, threads):
    """A network of its own, in float32 throughout."""
    net = ncnn.Net()
    options = net.opt
    options.num_threads = threads
    options.use_winograd_convolution = True
    options.use_sgemm_convolution = True
    options.use_packing_layout = True
    options.use_vulkan_compute = False
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(options, f"use_{name}", False)
    if net.load_param(str(folder / "model.ncnn.param")) or net.load_model(str(folder / "model.ncnn.bin")):
        raise RuntimeError(f"ncnn can't load {folder}/model.ncnn.*")
    return lambda: np.stack([logits(net, image) for image in images])


def logits(net, image):
    """The logits of one image."""
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(image))
    status, result = extractor.extract("out0")
    if status:
        raise RuntimeError(f"ncnn failed with status {status}")
    return np.array(result)

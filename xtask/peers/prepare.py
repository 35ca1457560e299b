"""Makes the folder that every runner reads: weights, inputs, labels, reference logits, and the peers' model files.

    python3 prepare.py --folder D --arch resnet18 --batch 32 --width 224 --height 224 [--formats onnx,mnn,ncnn]

The weights follow from the seed alone, so folders of several input sizes hold the same network.
"""

import argparse
import pathlib

import numpy as np
import torch
from network import CLASSES, NETWORKS
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

SEED = 0


def made_input(batch, height, width, generator):
    """Normalised images that look a little like photographs: noise at several scales, of unit variance overall."""
    image = torch.zeros(batch, 3, height, width)
    scales = (1, 4, 16, 64)
    for scale in scales:
        size = (batch, 3, -(-height // scale), -(-width // scale))
        noise = torch.randn(size, generator=generator)
        image += functional.interpolate(noise, size=(height, width), mode="nearest")
    return image / len(scales) ** 0.5


def made_network(arch):
    """A network whose normalisation is not the identity, and whose activations stay of order one.

    The affine parameters are drawn at random. The running statistics are the plain average over a few batches, so that
    evaluation sees activations as normalised as training does.
    """
    torch.manual_seed(SEED)
    network = NETWORKS[arch]()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.75, 1.25)
        nn.init.normal_(norm.bias, 0.0, 0.1)
        norm.momentum = None
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for _ in range(4):
            network.train()(made_input(4, 160, 160, generator))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def export_onnx(network, example, path):
    """Logits only, since an output more would cost the peers time. The batch's size stays open."""
    torch.onnx.export(
        network,
        (example,),
        str(path),
        dynamo=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def export_mnn(onnx_path, path):
    """Float32 weights.

    The extension module is called directly: the `mnnconvert` command around it installs a package with pip and reports
    each conversion to a server.
    """
    import _tools

    arguments = {"-f": "ONNX", "--modelFile": str(onnx_path), "--MNNModel": str(path), "--bizCode": "peers"}
    _tools.mnnconvert(["mnnconvert", *(word for option in arguments.items() for word in option)])
    if not path.exists():
        raise RuntimeError("MNN's converter wrote no file")


def export_ncnn(network, example, folder):
    """Float32 weights, which pnnx halves unless told otherwise. Writes `model.ncnn.param` and `model.ncnn.bin`."""
    import pnnx

    pnnx.export(network, str(folder / "model.pt"), inputs=example[:1], fp16=False, check_trace=False)
    if not (folder / "model.ncnn.bin").exists():
        raise RuntimeError("pnnx wrote no model.ncnn.bin")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--arch", required=True, choices=NETWORKS)
    for name in ("batch", "width", "height"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--formats", default="", help="any of onnx, mnn, ncnn; mnn is made from onnx")
    arguments = parser.parse_args()
    folder, formats = arguments.folder, set(filter(None, arguments.formats.split(",")))
    folder.mkdir(parents=True, exist_ok=True)

    network = made_network(arguments.arch)
    generator = torch.Generator().manual_seed(SEED + 1)
    images = made_input(arguments.batch, arguments.height, arguments.width, generator)
    labels = torch.randint(0, CLASSES, (arguments.batch,), generator=generator)
    save_file(network.state_dict(), folder / "model.safetensors")
    np.save(folder / "input.npy", images.numpy())
    np.save(folder / "labels.npy", labels.numpy())
    if not formats:
        return
    with torch.inference_mode():
        np.save(folder / "reference-logits.npy", network(images).numpy())
    if formats & {"onnx", "mnn"}:
        export_onnx(network, images, folder / "model.onnx")
    if "mnn" in formats:
        export_mnn(folder / "model.onnx", folder / "model.mnn")
    if "ncnn" in formats:
        export_ncnn(network, images, folder)


if __name__ == "__main__":
    main()

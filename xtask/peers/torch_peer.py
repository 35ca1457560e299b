"""PyTorch, run eagerly, eagerly with batch norm folded into the convolutions, and as a frozen TorchScript graph.

The graph is the fastest form that needs no compiler on the machine. `torch-channels-last` and `torch-bf16` keep
channels last; `torch-default` is PyTorch's default layout, which most scripts use.
"""

import contextlib
import copy
import itertools
import warnings

import network
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

EAGER, FOLDED, FROZEN = "eager", "batch norm folded", "frozen graph"
# In so many steps the loss halves, and the losses are still far from zero, where relative differences mean nothing.
LEARNING_RATE, MOMENTUM, STEPS = 1e-3, 0.9, 20


def configurations(asked):
    """What to try. Training has one; bfloat16 is autocast, as is usual, or the weights themselves."""
    if asked.task == "train":
        return [f"autocast, {EAGER}"] if asked.precision == "bf16" else [EAGER]
    if asked.precision == "bf16":
        autocast = [f"autocast, {form}" for form in (EAGER, FOLDED)]
        return [*autocast, *(f"bfloat16 weights, {form}" for form in (FOLDED, FROZEN))]
    return [EAGER, FOLDED, FROZEN]


class Peer:
    """Logits or last feature maps of the batch, or training steps on it."""

    def __init__(self, asked):
        if (asked.system == "torch-bf16") != (asked.precision == "bf16"):
            raise ValueError(f"{asked.system} is not a system of {asked.precision}")
        # The forms before torch.compile are deprecated, but torch.compile needs a C++ compiler at run time.
        warnings.simplefilter("ignore", FutureWarning)
        torch.set_num_threads(asked.threads)
        notes = [asked.configuration] + ([torch.backends.cpu.get_cpu_capability()] if asked.isa == "avx2" else [])
        self.version = f"{torch.__version__.split('+')[0]} ({', '.join(notes)})"
        self.layout = torch.contiguous_format if asked.system == "torch-default" else torch.channels_last
        self.autocast = asked.configuration.startswith("autocast")
        self.images = torch.from_numpy(asked.images()).to(memory_format=self.layout)
        model = network.NETWORKS[asked.arch]()
        model.load_state_dict(load_file(asked.folder / "model.safetensors"))
        if asked.task == "train":
            self.prepare_training(model, torch.from_numpy(asked.load("labels")))
        else:
            self.prepare_inference(model.eval(), asked)

    def prepare_inference(self, model, asked):
        """The network in the form that the configuration names, and its input."""
        model = model if asked.task == "infer" else network.features_of(model).eval()
        form = asked.configuration.split(", ")[-1]
        model = model if form == EAGER else folded(model)
        model = model.to(memory_format=self.layout)
        if asked.configuration.startswith("bfloat16"):
            model, self.images = model.bfloat16(), self.images.bfloat16()
        self.model = frozen(model, self.images) if form == FROZEN else model
        self.iterate = self.infer
        self.output = lambda: self.as_ours(self.infer().float(), asked).numpy()

    def as_ours(self, values, asked):
        """Logits keep the batch; the features of the one image of an `image` task don't, and are channels-last."""
        if asked.task == "infer":
            return values.reshape(asked.batch, -1)
        return values.reshape(512, -(-asked.height // 32), -(-asked.width // 32)).permute(1, 2, 0)

    def infer(self):
        with torch.inference_mode(), self.casting():
            return self.model(self.images)

    def prepare_training(self, model, labels):
        """Stochastic gradient descent on one batch again and again."""
        self.model = model.to(memory_format=self.layout).train()
        self.labels = labels
        self.optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, fused=True)
        self.iterate = self.train
        self.output = lambda: torch.stack([self.train() for _ in range(STEPS)]).numpy()

    def train(self):
        with self.casting():
            loss = functional.cross_entropy(self.model(self.images), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach().float()

    def casting(self):
        """Autocast where the configuration asks for it."""
        return torch.autocast("cpu", torch.bfloat16) if self.autocast else contextlib.nullcontext()


def folded(model):
    """A copy with every batch norm inside the convolution before it."""
    model = copy.deepcopy(model)
    for module in model.modules():
        for number in ("1", "2"):
            if hasattr(module, f"bn{number}"):
                convolution = fuse_conv_bn_eval(getattr(module, f"conv{number}"), getattr(module, f"bn{number}"))
                setattr(module, f"conv{number}", convolution)
                setattr(module, f"bn{number}", nn.Identity())
        if isinstance(module, nn.Sequential):
            for place, (first, second) in enumerate(itertools.pairwise(list(module))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[place], module[place + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return model


def frozen(model, images):
    """The network as a graph with its weights as constants, rewritten for inference."""
    with torch.inference_mode(False), torch.no_grad():
        traced = torch.jit.trace(model, images, check_trace=False)
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))

"""What a runner was asked to do. Imports nothing heavy, since the environment must be set before the peer is loaded."""

import argparse
import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Request:
    """The command line. `configuration` is None until the fastest one has been chosen."""

    system: str
    arch: str
    task: str
    precision: str
    isa: str
    batch: int
    width: int
    height: int
    threads: int
    folder: pathlib.Path
    configuration: str | None

    @property
    def output_path(self):
        """Where the outputs go that are compared with ours."""
        return self.folder / f"out-{self.system}-{self.task}-{self.precision}-{self.isa}.npy"

    def load(self, name):
        """An array of the prepared folder."""
        import numpy as np

        return np.load(self.folder / f"{name}.npy")

    def images(self):
        """The inputs, float32 [B, 3, H, W], of the shape that the command line names."""
        images = self.load("input")
        expected = (self.batch, 3, self.height, self.width)
        if images.shape != expected:
            raise ValueError(f"{self.folder}/input.npy has shape {images.shape}, not {expected}")
        return images

    def environment(self):
        """Variables that the libraries read while they load."""
        threads = str(self.threads)
        variables = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if self.isa == "avx2":
            variables |= {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
        return variables


def parsed(arguments=None):
    """The request that the command line makes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--system", required=True)
    parser.add_argument("--arch", required=True)
    parser.add_argument("--task", required=True, choices=("infer", "train", "image"))
    parser.add_argument("--precision", default="f32", choices=("f32", "bf16"))
    parser.add_argument("--isa", default="native", choices=("native", "avx2"))
    for name in ("batch", "width", "height", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--configuration")
    return Request(**vars(parser.parse_args(arguments)))

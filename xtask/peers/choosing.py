"""Which configuration of a system is the fastest here, so that each is measured at its best."""

import json
import subprocess
import sys

import numpy as np

TRIALS = 2
# A float32 configuration that strays further from PyTorch's eager logits is not float32 and can't win.
FLOAT32_LIMIT = 1e-3


def fastest(configurations, asked):
    """The name of the fastest of the configurations that work, each tried alone in a process of its own."""
    if len(configurations) == 1:
        return configurations[0]
    seconds = {}
    problems = []
    for name in configurations:
        try:
            seconds[name] = tried(name, asked)
            print(f"{asked.system}: {name}: {seconds[name]:.4f} s per iteration", file=sys.stderr)
        except (RuntimeError, OSError, ValueError) as error:
            problems.append(f"{name}: {error}")
            print(f"{asked.system}: {name} is left out: {error}", file=sys.stderr)
    if not seconds:
        raise RuntimeError("; ".join(problems))
    return min(seconds, key=seconds.get)


def tried(name, asked):
    """Seconds per iteration in one configuration."""
    command = [sys.executable, *sys.argv, "--configuration", name]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        answer(child)
        check(asked)
        return min(measured(child) for _ in range(TRIALS))
    finally:
        # The end of input ends the child in good order; `communicate` closes it and waits.
        child.communicate()


def measured(child):
    """One measurement."""
    child.stdin.write("run\n")
    child.stdin.flush()
    return answer(child)["seconds_per_iteration"]


def answer(child):
    """The child's next line."""
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"it ended without a word, exit code {child.wait()}")
    fields = json.loads(line)
    if "error" in fields:
        raise RuntimeError(fields["error"])
    return fields


def check(asked):
    """Raises where float32 logits are not PyTorch's."""
    if asked.task != "infer" or asked.precision != "f32":
        return
    reference = asked.folder / "reference-logits.npy"
    if not reference.exists():
        return
    difference = np.abs(np.load(asked.output_path) - np.load(reference)).max()
    if not difference <= FLOAT32_LIMIT:
        raise ValueError(f"its logits are off by {difference:.1e}")

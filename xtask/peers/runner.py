"""One system as a child process that measures itself on request.

    python3 runner.py --system mnn --task infer --batch 32 --width 224 --height 224 --threads 2 --folder D

It loads, warms up, writes its outputs and prints a line of JSON: `ready`, `version`, `output`. Then each line `run` on
standard input is answered by one measurement: `seconds_per_iteration` and `peak_memory_bytes`. `quit` or the end of
input ends it. An error is a line too, {"error": "what"}, with exit code 1.

A system with several configurations first tries each of them in a process of its own, speaking this same protocol, and
then becomes the fastest by replacing itself, so that neither memory nor threads of the trials are left.
"""

import importlib
import json
import math
import os
import sys
import time

import choosing
import request

MODULES = {
    "torch-channels-last": "torch_peer",
    "torch-default": "torch_peer",
    "torch-bf16": "torch_peer",
    "onnxruntime": "onnxruntime_peer",
    "openvino": "openvino_peer",
    "ncnn": "ncnn_peer",
    "mnn": "mnn_peer",
}
WARM_UP_ITERATIONS = 3
# How long one measurement takes, about; shorter where the whole machinery is only tried.
MEASURED_SECONDS = float(os.environ.get("LOCAM_PEERS_SECONDS", "2"))
LEAST_ITERATIONS = 2


def take_standard_output():
    """Keeps the line protocol for itself: what libraries print goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    return own


def peak_memory_bytes():
    """The most memory that this process has held, by the kernel's count."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def timed(iterate, iterations):
    """Seconds per iteration."""
    started = time.perf_counter()
    for _ in range(iterations):
        iterate()
    return (time.perf_counter() - started) / iterations


def serve(peer, asked, say):
    """Warms up, hands over the outputs, and measures until it is told to stop."""
    import numpy as np

    np.save(asked.output_path, peer.output())
    estimate = timed(peer.iterate, WARM_UP_ITERATIONS)
    say(ready=True, version=peer.version, output=str(asked.output_path))
    while (line := sys.stdin.readline()).strip() == "run":
        iterations = max(LEAST_ITERATIONS, math.ceil(MEASURED_SECONDS / estimate))
        estimate = timed(peer.iterate, iterations)
        say(seconds_per_iteration=estimate, peak_memory_bytes=peak_memory_bytes())
    if line.strip() not in ("", "quit"):
        raise ValueError(f"expected run or quit, not {line.strip()!r}")


def main():
    own = take_standard_output()

    def say(**fields):
        os.write(own, (json.dumps(fields) + "\n").encode())

    try:
        asked = request.parsed()
        if asked.system not in MODULES:
            raise ValueError(f"no such system: {asked.system}; there are {', '.join(MODULES)}")
        os.environ.update(asked.environment())
        module = importlib.import_module(MODULES[asked.system])
        if asked.configuration is None:
            name = choosing.fastest(module.configurations(asked), asked)
            os.dup2(own, 1)
            os.execv(sys.executable, [sys.executable, *sys.argv, "--configuration", name])
        serve(module.Peer(asked), asked, say)
    except Exception as error:  # noqa: BLE001: whatever it is, the one who asked is to be told in one line.
        say(error=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

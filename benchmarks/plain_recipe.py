"""The lab's plain recipe in PyTorch, as a user would write it: ResNet-18 fine-tuned on patches in ALL-IDB2's layout.

    plain_recipe.py FOLDER IMAGES WEIGHTS EPOCHS

IMAGES is the `images.json` of a run of `locam train` on the folder, so that both train and validate on the same patches. Two loader
processes decode them, and batches are in channels-last order, PyTorch's faster one on CPUs.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from network import ResNet18
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

BATCH, SIDE = 32, 224


class Patches(Dataset):
    """Pictures named `Im001_0.tif` (healthy) or `Im001_1.tif` (blast), as [3, SIDE, SIDE] from 0 to 1."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file = self.files[index]
        image = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
        return pixels.permute(2, 0, 1), int(file.stem[-1])


def pretrained(weights):
    network = ResNet18()
    tensors = {name: value.float() for name, value in load_file(weights).items() if not name.startswith("fc.")}
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    assert not unexpected and all(name.startswith("fc.") or "tracked" in name for name in missing), (missing, unexpected)
    network.fc = torch.nn.Linear(512, 2)
    return network.to(memory_format=torch.channels_last)


def main(folder, images, weights, epochs):
    torch.manual_seed(0)
    torch.set_num_threads(2)
    images = json.loads(Path(images).read_text())["images"]
    train, val = (Patches([Path(folder, i["file"]) for i in images if i["part"] == part]) for part in ("train", "val"))
    network = pretrained(weights)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    for epoch in range(epochs):
        network.train()
        for pixels, labels in DataLoader(train, BATCH, shuffle=True, num_workers=2):
            optimizer.zero_grad()
            loss = cross_entropy(network(pixels.contiguous(memory_format=torch.channels_last)), labels)
            loss.backward()
            optimizer.step()
        network.eval()
        hits = 0
        with torch.no_grad():
            for pixels, labels in DataLoader(val, BATCH, num_workers=2):
                hits += (network(pixels.contiguous(memory_format=torch.channels_last)).argmax(1) == labels).sum().item()
    print(f"{len(train)} patches, {epochs} epochs, validation accuracy {hits / len(val):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))

"""Networks with torchvision's key names, so that the same safetensors file serves every side without torchvision."""

from torch import nn

CLASSES = 4


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., 2016)."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)).add_(shortcut))


class Features(nn.Module):
    """Everything before the head: [B, 3, H, W] to [B, 512, H/32, W/32], sizes rounded up."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class ResNet18(Features):
    """The features, their mean over all places, and one linear layer: [B, 3, H, W] to [B, CLASSES]."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(512, CLASSES)

    def forward(self, x):
        return self.fc(super().forward(x).mean((2, 3)))


def convolution(channels_in, channels, kernel, stride=1, groups=1):
    """A convolution, batch norm and ReLU6."""
    conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """1x1 to more channels, 3x3 each by itself, 1x1 to few, and a shortcut (Sandler et al., 2018)."""

    def __init__(self, channels_in, channels, stride, expansion):
        super().__init__()
        wide = expansion * channels_in
        layers = [] if expansion == 1 else [convolution(channels_in, wide, 1)]
        layers += [convolution(wide, wide, 3, stride, wide), nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.conv = nn.Sequential(*layers)
        self.adds = stride == 1 and channels_in == channels

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """[B, 3, H, W] to [B, CLASSES]."""

    def __init__(self):
        super().__init__()
        layers, channels_in = [convolution(3, 32, 3, 2)], 32
        for expansion, channels, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):
            for number in range(count):
                layers.append(InvertedResidual(channels_in, channels, stride if number == 0 else 1, expansion))
                channels_in = channels
        self.features = nn.Sequential(*layers, convolution(320, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(1280, CLASSES))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


NETWORKS = {"resnet18": ResNet18, "mobilenet_v2": MobileNetV2}


def features_of(network):
    """A ResNet-18 without its head, on the same tensors."""
    features = Features()
    features.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("fc.")}, assign=True)
    return features

import pathlib
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


class Conv(nn.Conv2d):
    """Convolution with its own padding on each side: left, right, top, bottom."""

    def __init__(self, *args, pad, **options):
        super().__init__(*args, **options)
        self.pad = pad

    def forward(self, x):
        return super().forward(F.pad(x, self.pad))


class MaxPool(nn.Module):
    """Maximum over windows; padding never wins."""

    def __init__(self, kernel, stride, pad):
        super().__init__()
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def forward(self, x):
        return F.max_pool2d(F.pad(x, self.pad, value=float("-inf")), self.kernel, self.stride)


class AvgPool(MaxPool):
    """Mean over windows; padding is not counted."""

    def forward(self, x):
        mean = lambda y: F.avg_pool2d(F.pad(y, self.pad), self.kernel, self.stride)
        return mean(x) / mean(torch.ones_like(x[:1, :1]))


class GlobalAvgPool(nn.Module):
    """Mean of each map."""

    def forward(self, x):
        return x.mean((2, 3))


class Subsample(nn.Module):
    """Mean over windows, times a coefficient, plus a bias (LeCun et al. 1998)."""

    def __init__(self, channels, kernel):
        super().__init__()
        self.kernel = kernel
        self.coefficient = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        means = F.avg_pool2d(x, self.kernel)
        return means * self.coefficient[:, None, None] + self.bias[:, None, None]


class Rbf(nn.Module):
    """Minus half the squared distance to each class's centre."""

    def __init__(self, classes, inputs):
        super().__init__()
        self.register_buffer("centres", torch.zeros(classes, inputs))

    def forward(self, x):
        return -0.5 * (x[:, None] - self.centres).square().sum(2)


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3)."""

    def forward(self, x):
        return 1.7159 * torch.tanh(x * (2 / 3))


class Haar(nn.Module):
    """One level of the Haar wavelet transform: the low bands of all maps, then the details of each."""

    def __init__(self, low_only):
        super().__init__()
        self.low_only = low_only

    def forward(self, x):
        maps, height, width = x.shape[1:]
        x = F.pad(x, (0, width % 2, 0, height % 2))
        a, b = x[:, :, 0::2, 0::2], x[:, :, 0::2, 1::2]
        c, d = x[:, :, 1::2, 0::2], x[:, :, 1::2, 1::2]
        low = (a + b + c + d) / 2
        if self.low_only:
            return low
        details = torch.stack([a + b - c - d, a - b + c - d, a - b - c + d], 2) / 2
        return torch.cat([low, details.flatten(1, 2)], 1)


class Concat(nn.Module):
    """The maps of first(x), then those of second(x)."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x):
        return torch.cat([self.first(x), self.second(x)], 1)


class Residual(nn.Module):
    """body(x) + shortcut(x); an empty shortcut is the identity."""

    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


BESIDE = pathlib.Path(__file__).with_name("model.safetensors")


def load(path=BESIDE):
    """The network with its weights, ready to use (evaluation mode)."""
    from safetensors.torch import load_file

    network = build()
    missing, unexpected = network.load_state_dict(load_file(path), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return network.eval()


def save(network, path):
    """Writes the weights for `hw import`, which needs to be told nothing more about them."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(BESIDE, "pt") as file:
        metadata = file.metadata()
    save_file({name: t.contiguous() for name, t in network.state_dict().items()}, path, metadata)


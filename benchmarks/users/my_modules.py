"""Three modules that have nothing in common."""

from torch import nn


def programs():
    tokens = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
    pixels = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1))
    perceptron = nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256))
    return {
        "tokens": (tokens, (1, 196, 64)),
        "pixels": (pixels, (1, 3, 96, 96)),
        "perceptron": (perceptron, (16, 256)),
    }

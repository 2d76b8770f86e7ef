"""The same supernet by modelopt's AutoNAS: conversion, a loop of training, and evaluation."""

import modelopt.torch.nas as mtn
import torch
import torch.nn.functional as F
from my_digits_net import Net

SPACE = {
    "nn.Conv2d": {"*": {"channels_ratio": (0.25, 0.5, 0.75, 1.0), "channel_divisor": 1}},
    "nn.BatchNorm2d": {"*": {"features_ratio": (0.25, 0.5, 0.75, 1.0), "feature_divisor": 1}},
    "nn.Linear": {"*": {"features_ratio": (1.0,), "feature_divisor": 1}},
    "nn.Sequential": {"min_depth": 6},
}


def supernet():
    return mtn.convert(Net(), [("autonas", SPACE)])


def shifted(x):
    """Images moved by up to one pixel either way."""
    padded = F.pad(x, (1,) * 4, mode="replicate")
    down, right = torch.randint(0, 3, (2, len(x)))
    return torch.stack(
        [p[:, i : i + 8, j : j + 8] for p, i, j in zip(padded, down, right, strict=True)]
    )


def train(model, x, labels, epochs, batch=50, rate=2e-2):
    n_steps = epochs * (len(labels) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=n_steps + 1)
    model.train()
    for _ in range(epochs):
        for i in torch.randperm(len(labels)).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(model(shifted(x[i])), labels[i]).backward()  # samples a subnet
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()


def accuracy(model, config, x, labels):
    mtn.select(model, config)
    model.eval()  # calibrates batch norms on batches of training that it has kept
    with torch.inference_mode():
        return float((model(x).argmax(1) == labels).float().mean())

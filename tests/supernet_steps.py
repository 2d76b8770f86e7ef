"""Steps of supernets, and what training rules are made from."""

import numpy as np
import torch
from shared_spaces import images_of

from tailorbird.spaces import SharedSpace
from tailorbird.training import Pass, RuleInputs, Step
from tailorbird.training.distillation import labels_only
from tailorbird.training.shared.network import fresh
from tailorbird.training.shared.route_sampling import Draw, uniform

N_STEPS = 100


def inputs(space: SharedSpace, draw: Draw | None = None, distillation: str = "soft") -> RuleInputs:
    """Inputs of a rule whose networks are drawn uniformly, if nothing else is said."""
    return RuleInputs(space, draw or uniform(space, 0), labels_only, distillation)


def step_of(space: SharedSpace, number: int = 0) -> Step:
    """One of a hundred steps, of five random images and a network with fresh weights."""
    split = images_of(space, 5, number)
    images, network = split.batch(np.arange(5)), fresh(space, 0).train()
    rng, labels = np.random.default_rng(number), torch.from_numpy(split.labels)
    return Step(rng, images, labels, network, number, N_STEPS)


def passes(number: int, fraction: float = 0.0) -> Pass:
    """What a network of a step may have given, with random logits."""
    generator = torch.Generator().manual_seed(number)
    logits, first = (torch.randn(5, 10, generator=generator) for _ in range(2))
    return Pass(number, logits, torch.arange(5), torch.zeros(5, 1, 8, 8), first, fraction)

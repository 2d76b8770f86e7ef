from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Dataset, Training, train
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.stitching import low_rank
from tailorbird.training.stitching.least_squares import initialise_stitches


def layer(kind: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    if kind == "tokens":
        return nn.Linear(6, 9), torch.randn(5, 6)
    return nn.Conv2d(6, 9, 1), torch.randn(5, 6, 4, 4)


@pytest.mark.parametrize("kind", ["tokens", "maps"])
def test_an_update_starts_at_nothing_keeps_its_base_and_merges(kind: str) -> None:
    module, x = layer(kind)
    names, before = module.state_dict().keys(), module(x).detach()
    base = module.get_parameter("weight").detach().clone()
    low_rank.freeze([module], 2)
    torch.testing.assert_close(module(x), before, rtol=0, atol=0)
    trainable = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (module(x) - 3).square().mean().backward()
        optimizer.step()
    kept = module.get_parameter("parametrizations.weight.original")
    torch.testing.assert_close(kept, base, rtol=0, atol=0)
    learned = module(x).detach()
    assert (learned - before).abs().max() > 0.1
    low_rank.merge([module])
    torch.testing.assert_close(module(x), learned, rtol=1e-6, atol=1e-6)
    assert module.state_dict().keys() == names
    update = (module.get_parameter("weight") - base).flatten(1)
    assert torch.linalg.matrix_rank(update, atol=1e-5) == 2
    assert all(p.requires_grad for p in module.parameters())


def test_trained_stitches_are_least_squares_and_an_update_of_low_rank(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    settings = Training(1, 1, 0, stitch_images=40, stitch_rank=1)
    trained = train(small_space, few_digits, settings, tmp_path, NoProgress())
    base = SharedNetwork(small_space)
    for name in ("w4", "w8"):
        base.load_state_dict(load_file(tmp_path / f"anchor-{name}.safetensors"), strict=False)
    initialise_stitches(small_space, base, few_digits.train, 40)
    for name, stitch in trained.network.named_layers("stitch"):
        first = base.parts[name].get_parameter("weight")
        update = (stitch.get_parameter("weight") - first).flatten(1)
        values = torch.linalg.svdvals(update.double())
        assert values[0] > 1e-3
        assert values[1] < 1e-5 * first.abs().max().clamp(min=1)
    full = train(
        small_space, few_digits, replace(settings, stitch_rank=None), tmp_path, NoProgress()
    )
    assert full.network.state_dict().keys() == trained.network.state_dict().keys()
    assert full.fingerprint != trained.fingerprint

"""Files of torch operators: without pickles, and with weights of their own for each copy."""

import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tailorbird import spaces
from tailorbird.latency_tables.runtimes.torch_eager.export import export, pickles
from tailorbird.latency_tables.runtimes.torch_eager.timer import _Program

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Subclass(Tensor):
    pass


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.odd = nn.Parameter(torch.eye(4).as_subclass(Subclass))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.odd


class Constant(nn.Module):
    """A tensor that is neither parameter nor buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.randn(4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


@pytest.mark.parametrize("key", ["vit_block(width=192", "patch_embedding(width=192", "constant"])
def test_files_hold_no_pickle(key: str, tmp_path: Path) -> None:
    found = [w for w in spaces.get("deit-ti-s-b").workloads if w.key.startswith(key)]
    module, shape = (found[0].build(), found[0].inputs[0]) if found else (Constant(), (1, 4))
    path = tmp_path / "program.pt2"
    export(module, (torch.randn(shape),), path)
    assert pickles(path) == []
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    graphs = [name for name in contents if name.endswith("model.json")]
    assert len(graphs) == 1
    for name, content in contents.items():
        is_raw = "/data/weights/weight_" in name or "/data/constants/tensor_" in name
        assert is_raw or not content.startswith((b"\x80", b"PK")), name


def test_what_torch_would_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    with pytest.raises(ValueError, match="odd is no plain tensor"):
        export(Odd(), (torch.randn(1, 4),), path)
    assert not path.exists()


def test_files_with_pickles_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(nn.Linear(4, 4), (torch.randn(1, 4),)), path)
    with pytest.raises(ValueError, match="holds pickles"):
        _Program(path, 1)


def test_copies_have_weights_of_their_own_and_share_inputs(tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    x = torch.randn(1, 4)
    export(nn.Sequential(nn.Linear(4, 4), Constant()), (x,), path)
    placement = _Program(path, 3).place((x.numpy(),))
    arguments = [[t.data_ptr() for t in call.args] for call in placement.calls]  # type: ignore[attr-defined]
    weight, bias, shift, given = zip(*arguments, strict=True)
    for own in (weight, bias, shift):
        assert len(set(own)) == 3
    assert len(set(given)) == 1
    outputs = [call()[0] for call in placement.calls]  # type: ignore[index]
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0], rtol=0, atol=0)

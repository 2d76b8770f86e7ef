"""What is kept of a table of finetuned networks when its recipe was changed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from own_shared_net import space as own_space

from tailorbird import spaces
from tailorbird.pipeline.finetuned_networks import finetuned_networks
from tailorbird.spaces import SearchSpace, encodings

LARGE = spaces.get("mobile-elastic", batch=2, resolution=32, n_classes=10)


def accuracy(*, is_made: bool = True) -> Any:
    """Accuracies of which only finetuned weights are asked for."""
    return cast(Any, SimpleNamespace(finetuner=lambda: SimpleNamespace(is_made=lambda _: is_made)))


def written(folder: Path, space: SearchSpace) -> pd.DataFrame:
    """A table of a space's reference architectures."""
    X = space.landmarks
    networks = pd.DataFrame(
        {"architecture": [space.describe(row) for row in X], **encodings.columns(X, space, ())}
    )
    networks.to_parquet(folder / "finetuned.parquet", index=False)
    return networks


def test_networks_whose_weights_are_there_are_kept(tmp_path: Path) -> None:
    space = own_space(2)
    networks = written(tmp_path, space)
    kept = finetuned_networks(tmp_path, space, accuracy())
    pd.testing.assert_frame_equal(kept, networks)
    assert finetuned_networks(tmp_path, space, accuracy(is_made=False)).empty


@pytest.mark.parametrize("space", [LARGE, spaces.get("digits-elastic", batch=2)])
def test_networks_of_another_space_are_looked_for_in_none(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many networks there are, whose texts would take minutes to write."""
    written(tmp_path, own_space(2))

    def enumerated(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(type(space), "enumerate", enumerated)
    assert finetuned_networks(tmp_path, space, accuracy()).empty

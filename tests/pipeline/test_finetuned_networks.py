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

BASIS = {"accuracies_of": "digits@1", "latencies_of": "local, batch 2"}
LARGE = spaces.get("mobile-elastic", batch=2, resolution=32, n_classes=10)


def accuracy(*, is_made: bool = True) -> Any:
    """Accuracies of which only finetuned weights are asked for."""
    return cast(Any, SimpleNamespace(finetuner=lambda: SimpleNamespace(is_made=lambda _: is_made)))


def written(folder: Path, space: SearchSpace, **of: list[str] | str) -> pd.DataFrame:
    """A table of a space's reference architectures, which is of the basis unless it is told."""
    X = space.landmarks
    texts = {"architecture": [space.describe(row) for row in X]}
    networks = pd.DataFrame({**texts, **encodings.columns(X, space, ())}).assign(**BASIS | of)
    networks.to_parquet(folder / "finetuned.parquet", index=False)
    return networks


def test_networks_whose_weights_are_there_are_kept(tmp_path: Path) -> None:
    space = own_space(2)
    networks = written(tmp_path, space)
    kept = finetuned_networks(tmp_path, space, accuracy(), BASIS)
    pd.testing.assert_frame_equal(kept, networks)
    assert finetuned_networks(tmp_path, space, accuracy(is_made=False), BASIS).empty


def test_the_network_that_is_made_anew_is_left_out(tmp_path: Path) -> None:
    space = own_space(2)
    first, *others = written(tmp_path, space)["architecture"]
    kept = finetuned_networks(tmp_path, space, accuracy(), BASIS, besides=first)
    assert [*kept["architecture"]] == others


@pytest.mark.parametrize("column", [*BASIS])
def test_networks_with_figures_of_another_device_or_data_are_left_out(
    tmp_path: Path, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names them."""
    space = own_space(2)
    n = len(space.landmarks)
    networks = written(tmp_path, space, **{column: ["others"] + [BASIS[column]] * (n - 1)})
    kept = finetuned_networks(tmp_path, space, accuracy(), BASIS)
    pd.testing.assert_frame_equal(kept, networks[1:].reset_index(drop=True))
    (told,) = caplog.messages
    assert f"1 finetuned networks (first: {networks['architecture'][0]}) were evaluated" in told
    networks.drop(columns=column).to_parquet(tmp_path / "finetuned.parquet")
    assert finetuned_networks(tmp_path, space, accuracy(), BASIS).empty


@pytest.mark.parametrize("space", [LARGE, spaces.get("digits-elastic", batch=2)])
def test_networks_of_another_space_are_looked_for_in_none(
    tmp_path: Path, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many networks there are, whose texts would take minutes to write."""
    written(tmp_path, own_space(2))

    def enumerated(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(type(space), "enumerate", enumerated)
    assert finetuned_networks(tmp_path, space, accuracy(), BASIS).empty

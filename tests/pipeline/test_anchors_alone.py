"""Anchors as they were before they were stitched, for reports."""

from pathlib import Path

import numpy as np
import pytest
from small_recipe import small

from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.run import Run
from tailorbird.progress import NoProgress


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, stitch_epochs: int) -> Run:
    monkeypatch.chdir(folder)
    text = small().replace("stitch_epochs = 1", f"stitch_epochs = {stitch_epochs}")
    assert f"stitch_epochs = {stitch_epochs}" in text
    Path("r.toml").write_text(text)
    run = open_recipe(Path("r.toml"))
    run.train()
    return run


@pytest.mark.long
def test_anchors_that_were_never_trained_together_are_as_they_were_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path, monkeypatch, 0)
    alone = run.accuracy.anchors_alone(NoProgress())
    inside = run.accuracy.test(run.space.landmarks, NoProgress())
    np.testing.assert_array_equal(alone, inside)


@pytest.mark.long
def test_anchors_alone_are_not_those_inside_and_none_if_their_weights_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path, monkeypatch, 1)
    alone = run.accuracy.anchors_alone(NoProgress())
    assert alone is not None
    inside = run.accuracy.test(run.space.landmarks, NoProgress())
    assert (alone != inside).any()
    for file in Path("runs").rglob("anchor-*.safetensors"):
        file.unlink()
    again = open_recipe(Path("r.toml"))
    assert again.accuracy.anchors_alone(NoProgress()) is None

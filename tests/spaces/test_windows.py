import pytest

from tailorbird.spaces.stitching.windows import block_pairs


# Pairs and layers for twelve blocks, enumerated from the rule of SN-Net (CVPR 2023, section 3.3).
@pytest.mark.parametrize(
    ("kernel", "stride", "n_pairs", "n_layers"),
    [(1, 1, 12, 12), (2, 1, 34, 11), (2, 2, 24, 6), (3, 1, 54, 10), (3, 2, 44, 6), (4, 1, 72, 9)],
)
def test_windows_have_the_published_counts(
    kernel: int, stride: int, n_pairs: int, n_layers: int
) -> None:
    layer_of = block_pairs(12, kernel, stride)
    assert len(layer_of) == n_pairs
    assert sorted(set(layer_of.values())) == list(range(n_layers))


def test_a_pair_belongs_to_the_first_window_that_holds_it() -> None:
    layer_of = block_pairs(4, 2, 1)
    assert layer_of[1, 1] == 0
    assert layer_of[1, 2] == layer_of[2, 1] == layer_of[2, 2] == 1
    assert (0, 2) not in layer_of

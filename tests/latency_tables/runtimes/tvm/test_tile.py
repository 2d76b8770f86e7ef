from hypothesis import given
from hypothesis import strategies as st

from tailorbird.latency_tables.runtimes.tvm.schedule.tile import (
    Tile,
    choose_exact_tile,
    choose_tile,
)
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

AVX512, AVX2, NEON = VectorUnit(16, 32), VectorUnit(8, 16), VectorUnit(4, 32)
UNITS = st.sampled_from([AVX512, AVX2, NEON])


def n_accumulators(tile: Tile) -> int:
    return tile.rows * tile.columns // tile.lanes


@given(st.integers(1, 400), st.integers(1, 800), UNITS)
def test_accumulators_and_a_row_of_weights_fit_the_registers(
    m: int, n: int, unit: VectorUnit
) -> None:
    for tile in (choose_tile(m, n, unit), choose_exact_tile(m, n, unit)):
        assert tile.columns % tile.lanes == 0
        assert n_accumulators(tile) + tile.columns // tile.lanes < unit.registers


@given(st.integers(1, 400), st.integers(1, 800), UNITS)
def test_an_exact_tile_has_no_edge(m: int, n: int, unit: VectorUnit) -> None:
    tile = choose_exact_tile(m, n, unit)
    assert m % tile.rows == 0
    assert n % tile.columns == 0
    assert tile.lanes <= unit.lanes


@given(st.integers(1, 400), st.integers(1, 800), UNITS)
def test_a_padded_tile_uses_whole_registers(m: int, n: int, unit: VectorUnit) -> None:
    assert choose_tile(m, n, unit).lanes == unit.lanes


def test_an_exact_tile_takes_narrower_vectors_where_it_must() -> None:
    assert choose_exact_tile(8, 32, AVX2).lanes == 8
    assert choose_exact_tile(8, 4, AVX2).lanes == 4
    assert choose_exact_tile(8, 7, AVX2).lanes == 1


@given(st.integers(8, 400), st.integers(64, 800), UNITS)
def test_tiles_hide_the_latency_of_a_multiply_add(m: int, n: int, unit: VectorUnit) -> None:
    assert n_accumulators(choose_tile(m, n, unit)) >= 6  # eight hide all of it


def test_tokens_of_a_transformer_waste_little() -> None:
    """197 is prime; `benchmarks/runtime_ratio.py` shows what the choice is worth."""
    for unit in (AVX512, AVX2, NEON):
        rows = choose_tile(197, 768, unit).rows
        assert -(-197 // rows) * rows / 197 < 1.03

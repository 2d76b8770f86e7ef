from hypothesis import given
from hypothesis import strategies as st

from tailorbird.latency_tables.tvm.target import VectorUnit
from tailorbird.latency_tables.tvm.tile import choose_tile

UNITS = st.sampled_from([VectorUnit(16, 32), VectorUnit(8, 16), VectorUnit(4, 32)])


@given(st.integers(1, 400), st.integers(1, 800), UNITS)
def test_a_tile_divides_its_output_and_fits_the_registers(m: int, n: int, unit: VectorUnit) -> None:
    tile = choose_tile(m, n, unit)
    assert m % tile.rows == 0
    assert n % tile.columns == 0
    assert tile.columns % tile.lanes == 0
    assert tile.lanes <= unit.lanes
    assert tile.rows * (tile.columns // tile.lanes) <= unit.registers - 4


def test_full_vectors_are_used_where_the_columns_allow() -> None:
    assert choose_tile(8, 32, VectorUnit(8, 16)).lanes == 8
    assert choose_tile(8, 4, VectorUnit(8, 16)).lanes == 4
    assert choose_tile(8, 7, VectorUnit(8, 16)).lanes == 1


def test_tiles_are_large_enough_to_hide_the_latency_of_a_multiply_add() -> None:
    tile = choose_tile(8, 32, VectorUnit(8, 16))
    assert tile.rows * (tile.columns // tile.lanes) >= 8  # two a cycle, four cycles each

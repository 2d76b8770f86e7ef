import pytest

from tailorbird.errors import RecipeError
from tailorbird.latency_tables import device
from tailorbird.latency_tables.tvm.target import VectorUnit, llvm_cpu, vector_unit

AVX2 = {"sse2", "avx", "avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("flags", "mcpu", "unit"),
    [
        (AVX512 | {"avx512_vnni"}, "icelake-server", VectorUnit(16, 32)),
        (AVX512, "skylake-avx512", VectorUnit(16, 32)),
        (AVX512 - {"avx512vl"}, "x86-64-v3", VectorUnit(8, 16)),
        (AVX2, "x86-64-v3", VectorUnit(8, 16)),
        ({"sse2", "avx"}, "x86-64", VectorUnit(4, 16)),
        ({"asimd", "fp"}, "generic", VectorUnit(4, 32)),
    ],
)
def test_flags_decide_the_target(flags: set[str], mcpu: str, unit: VectorUnit) -> None:
    assert llvm_cpu(frozenset(flags)) == mcpu
    assert vector_unit(mcpu) == unit


def test_this_machine_is_known() -> None:
    local = device.find("local", threads=1)
    assert local.cpu
    assert all(device.provenance().values())


@pytest.mark.parametrize(
    ("name", "threads", "message"),
    [("locl", 1, "did you mean 'local'"), ("local", 10_000, "must hold on this machine")],
)
def test_what_is_not_there_is_refused(name: str, threads: int, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        device.find(name, threads)

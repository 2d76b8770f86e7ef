import platform

import pytest

from tailorbird.errors import DeviceError
from tailorbird.latency_tables.devices import device
from tailorbird.latency_tables.devices.target import Target, is_gpu
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit, vector_unit

AVX2 = {"sse2", "avx", "avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("machine", "flags", "part", "text", "unit"),
    [
        ("x86_64", AVX512 | {"avx512_vnni"}, "", "icelake-server", VectorUnit(16, 32)),
        ("x86_64", AVX512, "", "skylake-avx512", VectorUnit(16, 32)),
        ("x86_64", AVX512 - {"avx512vl"}, "", "x86-64-v3", VectorUnit(8, 16)),
        ("x86_64", AVX2, "", "x86-64-v3", VectorUnit(8, 16)),
        ("x86_64", {"sse2", "avx"}, "", "x86-64", VectorUnit(4, 16)),
        ("aarch64", {"asimd"}, "0xd08", "aarch64-linux-gnu/cortex-a72", VectorUnit(4, 32)),
        ("aarch64", {"asimd"}, "0xfff", "aarch64-linux-gnu/generic", VectorUnit(4, 32)),
        ("riscv64", set(), "", "riscv64-linux-gnu/generic", VectorUnit(4, 32)),
    ],
)
def test_flags_decide_the_target(
    machine: str, flags: set[str], part: str, text: str, unit: VectorUnit
) -> None:
    target = Target.of(machine, frozenset(flags), part)
    assert target == Target.parse(text)
    assert vector_unit(target) == unit
    if machine == platform.machine():
        assert str(target) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x86-64-v33", "did you mean 'x86-64-v3'"),
        ("aarch64-linux-gnu/cortex-a7x", "knows no CPU 'cortex-a7x' of aarch64-linux-gnu"),
        ("z80-linux-gnu/generic", "Nothing is compiled for 'z80-linux-gnu'"),
    ],
)
def test_a_target_that_llvm_does_not_know_is_refused(text: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        vector_unit(Target.parse(text))


@pytest.mark.parametrize("text", ["", "a b", "aarch64/cortex-a72", "a-b-c/", "-mcpu=x;y"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(DeviceError, match="LLVM's name of a CPU"):
        Target.parse(text)


@pytest.mark.parametrize(
    ("target", "of_a_gpu"),
    [
        *((name, True) for name in ("cuda", "cuda:0", "CUDA -arch=sm_80", "rocm", "Metal", "gpu")),
        *((name, True) for name in ("nvptx64-nvidia-cuda/sm_80", "nvidia/nvidia-a100", "vulkan")),
        *((name, True) for name in ("sm_90", "mps")),
        *((name, False) for name in ("x86-64-v3", "aarch64-linux-gnu/cortex-a72", "apple-m1")),
        *((name, False) for name in ("skylake-avx512", "generic", "metalloid", "hexagon")),
    ],
)
def test_targets_of_gpus_are_known(target: str, of_a_gpu: bool) -> None:
    assert is_gpu(target) == of_a_gpu


def test_a_device_that_is_elsewhere_is_not_described_by_this_machine() -> None:
    told = device.provenance(device.others("a phone", threads=4))
    assert told.keys() == {"started_from"}
    assert "kernel" in device.provenance(device.find("local", threads=1))


def test_this_machine_is_known() -> None:
    local = device.find("local", threads=1)
    assert local.cpu
    assert all(device.provenance(local).values())


@pytest.mark.parametrize(
    ("name", "threads", "message"),
    [("locl", 1, "did you mean 'local'"), ("local", 10_000, "must hold on this machine")],
)
def test_what_is_not_there_is_refused(name: str, threads: int, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        device.find(name, threads)

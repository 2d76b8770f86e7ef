"""Condition of this machine: what disturbs measurements on it, and what to do."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_CPU = Path("/sys/devices/system/cpu")
_ZONES = Path("/sys/class/thermal")
_HOT_C = 85
_MILLIDEGREES = re.compile(r"-?\d{1,5}|1\d{5}")  # broken sensors tell others
_SPREAD, _TAIL = 0.05, 0.25  # of times of the same work, above which rows would be distrusted
_BUSY = 0.3  # processes that run besides, for each core
_SAMPLES, _SAMPLE_S = 150, 0.004
_ROOM_GIB, _MEMORY_GIB = 5.0, 4.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        subject: the thing.
        state: how it is.
        way_out: what to do; empty if it is well.
    """

    subject: str
    state: str
    way_out: str = ""


def condition() -> Iterator[Finding]:
    """Yields what may disturb measurements here; takes about a second."""
    yield _threads()
    yield _governor()
    yield _temperature()
    yield _load()
    yield _noise()
    yield _memory()
    yield _disk(Path.cwd())


def _threads() -> Finding:
    n = len(os.sched_getaffinity(0))
    limited = os.environ.get("OMP_NUM_THREADS")
    state = f"{n} that this process may use"
    if limited is not None:
        state += f"; OMP_NUM_THREADS = {limited}, which training follows, and measuring does not"
    return Finding("cores", state)


def _governor() -> Finding:
    names = {_read(file) for file in _CPU.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    if not names:
        return Finding("governor", "not shown, as in most virtual machines")
    state = ", ".join(sorted(names))
    if names == {"performance"}:
        return Finding("governor", state)
    way_out = "let clocks stay high: `cpupower frequency-set --governor performance`, as root"
    return Finding("governor", state, way_out)


def _temperature() -> Finding:
    told = [_read(file) for file in _ZONES.glob("thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in told if _MILLIDEGREES.fullmatch(text)]
    throttled = [
        int(text)
        for file in _CPU.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
        if (text := _read(file)).isdigit()
    ]
    if not degrees and not any(throttled):
        return Finding("temperature", "not shown")
    state = f"{max(degrees):.0f} degrees" if degrees else "not shown"
    if any(throttled):
        state += f"; clocks were lowered for heat {max(throttled)} times since it was started"
    is_hot = bool(degrees) and max(degrees) >= _HOT_C
    return Finding("temperature", state, "let it cool down, and see to its fan" if is_hot else "")


def _load() -> Finding:
    per_core = os.getloadavg()[0] / (os.cpu_count() or 1)
    state = f"{os.getloadavg()[0]:.2g} processes in the last minute"
    way_out = "end what else runs here, or measure when it has ended" if per_core > _BUSY else ""
    return Finding("load", state, way_out)


def _noise() -> Finding:
    """Times the same work again and again."""
    a = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    n, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < 20 * _SAMPLE_S:
        a @ a
        n += 1
    times = np.empty(_SAMPLES)
    for i in range(_SAMPLES):
        begin = time.perf_counter()
        for _ in range(max(1, n // 20)):
            a @ a
        times[i] = time.perf_counter() - begin
    low, median, high, tail = np.percentile(times, [25, 50, 75, 95])
    spread, late = (high - low) / median, tail / median - 1
    state = (
        f"the same work takes {spread:.1%} more or less, and one in twenty times {late:.0%} more"
    )
    way_out = "find what else runs here; a machine of its own is quieter than a shared one"
    return Finding("noise", state, way_out if spread > _SPREAD or late > _TAIL else "")


def _memory() -> Finding:
    lines = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines())
    kib = lines.get("MemAvailable", "").strip().split(" ")[0]
    if not kib.isdigit():
        return Finding("memory", "not shown")
    free = int(kib) / 2**20
    way_out = "end what takes it, or train smaller networks" if free < _MEMORY_GIB else ""
    return Finding("memory", f"{free:.1f} GiB are free", way_out)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 2**30
    way_out = "make room: weights and compiled programs need some" if free < _ROOM_GIB else ""
    return Finding("disk", f"{free:.1f} GiB are free where runs/ is made", way_out)


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""

"""What is looked at before anything is measured: the installation, and the machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tailorbird.latency_tables.devices import condition as conditions
from tailorbird.latency_tables.devices.condition import Finding, condition

Tailorbird = Callable[..., tuple[int, str, str]]


def found() -> dict[str, Finding]:
    return {finding.subject: finding for finding in condition()}


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders such as the kernel shows them, of two cores."""
    cpu, zones = tmp_path / "cpu", tmp_path / "thermal"
    for core in ("cpu0", "cpu1"):
        (cpu / core / "cpufreq").mkdir(parents=True)
        (cpu / core / "cpufreq" / "scaling_governor").write_text("performance\n")
        (cpu / core / "thermal_throttle").mkdir()
        (cpu / core / "thermal_throttle" / "core_throttle_count").write_text("0\n")
    (zones / "thermal_zone0").mkdir(parents=True)
    (zones / "thermal_zone0" / "temp").write_text("45000\n")
    monkeypatch.setattr(conditions, "_CPU", cpu)
    monkeypatch.setattr(conditions, "_ZONES", zones)
    return tmp_path


def test_a_quiet_machine_has_nothing_to_do(system: Path) -> None:
    known = found()
    assert known["governor"] == Finding("governor", "performance")
    assert known["temperature"] == Finding("temperature", "45 degrees")


def test_a_governor_that_saves_power_and_heat_are_told(system: Path) -> None:
    (system / "cpu/cpu1/cpufreq/scaling_governor").write_text("powersave\n")
    (system / "thermal/thermal_zone0/temp").write_text("91000\n")
    (system / "cpu/cpu0/thermal_throttle/core_throttle_count").write_text("7\n")
    known = found()
    assert known["governor"].state == "performance, powersave"
    assert "cpupower" in known["governor"].way_out
    assert "91 degrees; clocks were lowered for heat 7 times" in known["temperature"].state
    assert known["temperature"].way_out


def test_what_a_kernel_does_not_show_is_not_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "_CPU", tmp_path / "none")
    monkeypatch.setattr(conditions, "_ZONES", tmp_path / "none")
    known = found()
    assert known["governor"].state.startswith("not shown")
    assert known["temperature"] == Finding("temperature", "not shown")
    assert not known["governor"].way_out


def test_work_of_others_is_noise() -> None:
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"])
        for _ in range(3 * (os.cpu_count() or 1))
    ]
    try:
        assert found()["noise"].way_out
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.long
def test_it_is_told_with_what_to_do(
    tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILORBIRD_DATA", "/nowhere/at/all")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    code, out, err = tailorbird("doctor")
    assert code == 0, err
    assert "! linker" in out
    assert "install gcc" in out
    assert "unset TAILORBIRD_DATA" in out
    monkeypatch.undo()
    code, out, err = tailorbird("doctor", "--json")
    assert code == 0, err
    told = {finding["subject"]: finding for finding in json.loads(out)}
    assert {"tailorbird", "torch", "apache-tvm", "linker", "cores", "noise", "disk"} <= {*told}
    assert not told["torch"]["way_out"]

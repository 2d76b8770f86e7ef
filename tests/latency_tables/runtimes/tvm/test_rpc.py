"""Devices behind RPC servers, which are real ones that these tests kill, freeze and restart."""

import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_runtime import FakeRuntime
from patience import PATIENCE_S
from servers import RpcProcess, rpc_server, rpc_tracker
from torch import nn

from tailorbird.errors import (
    FaultyMachineError,
    LostDeviceError,
    MeasurementError,
    RecipeError,
)
from tailorbird.latency_tables import (
    Artifact,
    Device,
    Profiler,
    Program,
    Samples,
    Store,
    Timing,
)
from tailorbird.latency_tables.devices.device import HERE, find
from tailorbird.latency_tables.devices.host import HostFacts, load, save
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.tvm import TvmRuntime
from tailorbird.latency_tables.runtimes.tvm.rpc import client, workbench
from tailorbird.latency_tables.runtimes.tvm.rpc.client import devices_behind, facts_of
from tailorbird.latency_tables.runtimes.tvm.rpc.device import device_of, met_again
from tailorbird.latency_tables.runtimes.tvm.rpc.session import refuse_other_versions
from tailorbird.latency_tables.runtimes.tvm.rpc.workbench import RemoteBench
from tailorbird.progress import NoProgress

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TIMING = Timing(warmup_ms=1, sample_ms=1, least_samples=5, most_samples=5, limit_s=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpcProcess]:
    with rpc_server(tmp_path_factory.mktemp("server")) as one:
        yield one


def device_at(server: RpcProcess, threads: int = 1) -> Device:
    here, address = find("local", threads=1), RpcAddress.parse(server.address)
    return device_of("board", address, threads, here.target, facts_of(address))


def bench_at(server: RpcProcess, folder: Path, threads: int = 1) -> tuple[Device, RemoteBench]:
    device = device_at(server, threads)
    return device, RemoteBench(device, folder / "compiled", TIMING)


def draw(*shape: int) -> tuple[np.ndarray, ...]:
    return (np.random.default_rng(0).standard_normal(shape, dtype=np.float32),)


@pytest.mark.long
def test_it_says_what_it_is_and_is_this_machine(server: RpcProcess) -> None:
    said, here = facts_of(RpcAddress.parse(server.address)), HostFacts.here()
    assert (said.cpu, said.cores, said.target) == (here.cpu, here.cores, here.target)
    assert said.tvm_version == version("apache-tvm")
    assert device_at(server).machine == HERE  # so that both are never timed side by side


@pytest.mark.long
def test_programs_run_there_and_compute_what_torch_computes(
    server: RpcProcess, tmp_path: Path
) -> None:
    threads = HostFacts.here().cores  # on which a server pins them
    device, bench = bench_at(server, tmp_path, threads)
    runtime = TvmRuntime(tmp_path / "compiled", TIMING, bench)
    here = find("local", threads)
    assert runtime.configuration(device, 1) == runtime.configuration(here, 1)
    try:
        for module, inputs in (
            (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), draw(2, 3, 6, 5)),
            (nn.Linear(8, 4), draw(3, 8)),
        ):
            artifact = runtime.compile(module.eval(), inputs, device)
            (output,) = runtime.run(artifact, inputs, device)
            with torch.inference_mode():
                expected = module(torch.from_numpy(inputs[0])).numpy()
            np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)
            once = runtime.measure(artifact, inputs, device, n_copies=1)
            turns = runtime.measure(artifact, inputs, device, n_copies=3)
            assert len(once.ms)
            assert not len(once.hot_ms)
            assert len(turns.hot_ms)
    finally:
        runtime.close()


@pytest.mark.slow
def test_a_device_that_is_killed_and_comes_back_is_asked_again(
    server: RpcProcess, tmp_path: Path
) -> None:
    device, bench = bench_at(server, tmp_path)
    runtime = TvmRuntime(tmp_path / "compiled", TIMING, bench)
    inputs = draw(1, 4)
    artifact = runtime.compile(nn.Linear(4, 4), inputs, device)
    try:
        runtime.measure(artifact, inputs, device, n_copies=1)
        server.kill()
        again = threading.Timer(3.0, server.start)
        again.start()
        with pytest.raises(LostDeviceError) as lost:
            runtime.measure(artifact, inputs, device, n_copies=1)
        lost.value.wait()
        again.join()
        assert len(runtime.measure(artifact, inputs, device, n_copies=1).ms)
        assert len(bench.losses) == 1
    finally:
        runtime.close()


@pytest.mark.slow
def test_a_device_that_is_frozen_is_given_up_within_the_limit(
    server: RpcProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = device_at(server)
    monkeypatch.setattr(workbench, "PATIENCE_S", 1.0)
    monkeypatch.setattr(client, "LIMIT_S", 6.0)
    timing = Timing(warmup_ms=1, sample_ms=1, least_samples=5, most_samples=5, limit_s=4)
    bench = RemoteBench(device, tmp_path / "compiled", timing)
    runtime = TvmRuntime(tmp_path / "compiled", timing, bench)
    inputs = draw(1, 4)
    artifact = runtime.compile(nn.Linear(4, 4), inputs, device)
    try:
        runtime.measure(artifact, inputs, device, n_copies=1)
        server.signal(signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(LostDeviceError, match="no answer within 4 s") as lost:
            runtime.measure(artifact, inputs, device, n_copies=1)
        with pytest.raises(FaultyMachineError, match="did not come back within 1 s"):
            lost.value.wait()
        assert time.monotonic() - begin < 4 + 6 + 1 + 5
        with pytest.raises(RecipeError, match="busy with another client, or frozen"):
            facts_of(RpcAddress.parse(server.address))
        server.signal(signal.SIGCONT)
        assert len(runtime.measure(artifact, inputs, device, n_copies=1).ms)
    finally:
        server.signal(signal.SIGCONT)
        runtime.close()


@pytest.mark.slow
def test_another_machine_behind_the_same_address_is_refused(
    server: RpcProcess, tmp_path: Path
) -> None:
    facts = HostFacts(
        facts_of(RpcAddress.parse(server.address)).text.replace("model name", "model-name")
    )
    here = find("local", threads=1)
    device = device_of("board", RpcAddress.parse(server.address), 1, here.target, facts)
    with pytest.raises(RecipeError, match="is another machine now"):
        met_again(device, tmp_path / "device.json")
    bench = RemoteBench(device, tmp_path / "compiled", TIMING)
    runtime = TvmRuntime(tmp_path / "compiled", TIMING, bench)
    inputs = draw(1, 4)
    artifact = runtime.compile(nn.Linear(4, 4), inputs, device)
    try:
        with pytest.raises(MeasurementError, match="it is another machine now") as refused:
            runtime.measure(artifact, inputs, device, n_copies=1)
        assert not isinstance(refused.value, LostDeviceError)
    finally:
        runtime.close()


@dataclass
class Losing(FakeRuntime):
    """Loses its device when it measures a program for the first times."""

    times: dict[int, int] = field(default_factory=dict)
    comes_back: bool = True
    was_free: list[bool] = field(default_factory=list)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        name = artifact.path.name
        if name.isdigit() and self.times.get(int(name), 0):
            self.times[int(name)] -= 1
            raise LostDeviceError("it went away", self.wait)
        return super().measure(artifact, inputs, device, n_copies)

    def wait(self) -> None:
        with open_lock() as number:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where another holds it
            self.was_free.append(True)
        if not self.comes_back:
            raise FaultyMachineError("it does not come back")


@contextmanager
def open_lock() -> Iterator[int]:
    number = os.open(
        next(Path(os.environ["XDG_RUNTIME_DIR"]).glob("tailorbird/timing-*")), os.O_RDWR
    )
    try:
        yield number
    finally:
        os.close(number)


def programs(n: int) -> list[Program]:
    return [Program(f"p{i}", lambda: nn.Linear(2, 2), ((1, 2),)) for i in range(n)]


@pytest.mark.usefixtures("locks_of_its_own")
def test_a_lost_device_costs_no_round_and_holds_nobody_up(device: Device, store: Store) -> None:
    runtime = Losing(times={1: 1})
    profiler = Profiler(runtime, device, 1, store)
    profiler.profile(programs(3), 2, NoProgress())
    rounds = store.record(profiler.configuration).rounds
    assert sorted((one.key, one.number, one.status) for one in rounds) == [
        (f"p{i}", number, "measured") for i in range(3) for number in range(2)
    ]
    assert runtime.was_free == [True]


@pytest.mark.usefixtures("locks_of_its_own")
def test_a_program_that_loses_the_device_twice_fails_alone(device: Device, store: Store) -> None:
    profiler = Profiler(Losing(times={1: 2}), device, 1, store)
    profiler.profile(programs(3), 2, NoProgress())
    table = store.table(profiler.configuration, "board", 2)
    assert set(table.entries) == {"p0", "p2"}
    assert "lost twice while it ran" in table.failures["p1"]


@pytest.mark.usefixtures("locks_of_its_own")
def test_where_the_device_stays_away_the_next_run_begins_with_other_programs(
    device: Device, store: Store
) -> None:
    runtime = Losing(times={0: 1}, comes_back=False)
    profiler = Profiler(runtime, device, 1, store)
    with pytest.raises(FaultyMachineError, match="does not come back"):
        profiler.profile(programs(2), 1, NoProgress())
    failures = store.table(profiler.configuration, "board", 1).failures
    assert failures == {"p0": "the device was lost while it ran (it went away)"}
    profiler.profile(programs(2), 1, NoProgress())
    taken = [one.key for one in store.record(profiler.configuration).rounds if one.samples]
    assert taken == ["p1", "p0"]


@pytest.mark.parametrize("theirs", ["0.26.0", version("apache-tvm"), ""])
def test_a_server_of_another_version_is_refused(theirs: str) -> None:
    """A real one, 0.26, answers all that we ask of it: only this tells it apart."""
    facts = HostFacts(f"x86_64\n2\nboot\n\n{theirs}\n")
    if theirs == "0.26.0":
        with pytest.raises(RuntimeError, match=r"it runs TVM 0.26.0.*install apache-tvm=="):
            refuse_other_versions(facts)
    else:
        refuse_other_versions(facts)


@pytest.mark.slow
def test_a_tracker_gives_its_devices_by_key(tmp_path: Path) -> None:
    with rpc_tracker(tmp_path) as tracker:
        address = RpcAddress.parse(tracker.address)
        assert devices_behind(address) == {}
        with rpc_server(tmp_path, "--tracker", tracker.address, "--key", "board") as one:
            end = time.monotonic() + PATIENCE_S
            while not devices_behind(address):
                assert time.monotonic() < end
            assert devices_behind(address) == {"board": [one.address]}
            assert facts_of(RpcAddress.parse(tracker.address, "board")).cpu == HostFacts.here().cpu
            with pytest.raises(RecipeError, match="knows no 'bord'; it has: board"):
                facts_of(RpcAddress.parse(tracker.address, "bord"))
            with pytest.raises(RecipeError, match="there is no RPC tracker of TVM"):
                facts_of(RpcAddress.parse(one.address, "board"))


def test_big_cores_come_last_and_decide() -> None:
    cores = "".join(f"processor: {i}\nCPU part: {p}\n\n" for i, p in enumerate(["0xd03", "0xd08"]))
    for tail in ("", "Hardware: BCM2835\n", "processor: 2\n"):  # or cut off
        facts = HostFacts(f"aarch64\n2\nboot\nRK3399\n\n{cores}{tail}")
        assert str(facts.target) == "aarch64-linux-gnu/cortex-a72"


def test_processors_that_hypervisors_give_one_name_are_told_apart() -> None:
    line = "model name: AMD EPYC\ncpu family: 25\nmodel: {}\nflags: avx2 fma\n"
    cpus = [HostFacts(f"x86_64\n2\nboot\n\n\n{line.format(model)}").cpu for model in (17, 2)]
    assert cpus == ["AMD EPYC (family 25, model 17)", "AMD EPYC (family 25, model 2)"]


@pytest.mark.long
def test_what_is_not_there_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(RecipeError, match=rf"127.0.0.1:{port} .* nothing answers there"):
            facts_of(RpcAddress("127.0.0.1", port))


@pytest.mark.long
def test_another_service_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def hang_up() -> None:
            for _ in range(2):
                other.accept()[0].close()

        answering = threading.Thread(target=hang_up, daemon=True)
        answering.start()
        with pytest.raises(RecipeError, match="there is no RPC server of TVM"):
            facts_of(RpcAddress("127.0.0.1", other.getsockname()[1]))


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:99999", "host:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="must be 'host:port'"):
        RpcAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [("localhost:1", True), ("127.0.0.9:1", True), ("[::1]:1", True), ("10.0.0.1:1", False)],
)
def test_who_can_reach_it_is_known(text: str, is_loopback: bool) -> None:
    server = RpcAddress.parse(text)
    assert server.is_loopback == is_loopback
    assert str(server) == text


def test_facts_are_kept_for_the_address_that_told_them(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "device.json"
    facts = HostFacts(
        "aarch64\n4\nboot\nRaspberry Pi 4\n0.27.0\nCPU part\t: 0xd08\nFeatures : asimd\n"
    )
    arm = HostFacts(facts.text.replace("Raspberry Pi 4", ""))
    assert arm.cpu == "aarch64  0xd08"  # what tells one server from another, without a board
    assert (facts.cpu, facts.cores, str(facts.target)) == (
        "Raspberry Pi 4",
        4,
        "aarch64-linux-gnu/cortex-a72",
    )
    assert load("board:1", file) is None
    save(facts, "board:1", file)
    assert load("board:1", file) == facts
    assert load("board:2", file) is None
    file.write_text('{"server": "board:1", "facts": ""}')
    assert load("board:1", file) is None
    file.write_text('{"server": "board:1", "fac')
    assert load("board:1", file) is None  # torn

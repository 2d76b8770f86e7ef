"""Small real doubles that several rooms' tests share."""

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side

import hypothesis
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from fake_runtime import FakeRuntime

from tailorbird import spaces
from tailorbird.cli.tables import NOT_USABLE
from tailorbird.latency_tables import Device, Profiler, Store
from tailorbird.latency_tables.devices.target import Target
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import Workload
from tailorbird.spaces.stitching import Part, StitchSpace, Windows

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci")

_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()

_NO_DATA = (
    "published data are not here: `tailorbird data get NAME...` fetches most, `tailorbird data "
    "list` tells the names; TAILORBIRD_DATA names a folder of others"
)

_SLOW_ON_SERVER = {
    *("test_faults.py", "test_participation.py", "test_profiler.py", "test_study.py")
}

SERVER = "TAILORBIRD_TEST_POSTGRES"
"""Variable with the URL of a server of PostgreSQL, on which what concerns stores is tested too."""


def pytest_configure(config: pytest.Config) -> None:
    """Hides GPUs of CUDA from tests that are not for them: recipes would train there, and round
    otherwise than what they are compared with."""
    if "gpu" not in config.option.markexpr:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of what uses a store, as opposed to stores, take their time on a server, too.

    Those that time real programs for long disturb each other, so that all take longer: with
    `--dist loadgroup` one process runs them all.
    """
    for item in items:
        if {"tvm", "long"} <= {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.xdist_group("timing"))
        called = getattr(item, "callspec", None)
        on_server = called is not None and called.params.get("urls") == "postgresql"
        if on_server:
            item.add_marker(pytest.mark.postgresql)
        if on_server and item.path.name in _SLOW_ON_SERVER:
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests of data that are not here are skipped, all in one place and so in one line.

    TVM binds the thread that runs several threads' programs to one core, where it would stay.
    """
    if _CORES:
        os.sched_setaffinity(0, _CORES)
    for mark in item.iter_markers("data"):
        if not mark.args:
            raise pytest.UsageError(f"{item.nodeid}: the mark `data` must name its files.")
        if not all(map(_is_here, mark.args)):
            pytest.skip(_NO_DATA)
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            pytest.skip("torch finds no GPU here")


@cache
def _is_here(name: str) -> bool:
    """Whether the data folder has a file, or the column after the colon in its table."""
    file, _, column = name.partition(":")
    path = data_folder() / file
    return path.exists() and (not column or column in pq.read_schema(path).names)


@dataclass(frozen=True)
class TinyFamily:
    """Anchors whose parts are told apart by their workloads; nothing can be built."""

    n_anchors: int
    depth: int
    name: str = "tiny"
    input_shape: tuple[int, ...] = (1, 1, 1)
    n_classes: int = 2

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        return ((self.depth,),) * self.n_anchors

    @property
    def anchors(self) -> tuple[str, ...]:
        return tuple(f"a{i}" for i in range(self.n_anchors))

    def workload(self, part: Part) -> Workload:
        return Workload(
            part.kind, (("anchor", part.anchor),), ((1, 1, 1 + part.anchor),), "torch.nn:Identity"
        )


@pytest.fixture
def locks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks lie in the test's own folder.

    Tests that time real programs share those of their user, so that they do not disturb one
    another.
    """
    folder = tmp_path / "machine"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))


@pytest.fixture
def command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """The command line in this process and an empty folder: its code, output and errors.

    Modules that recipes name there are forgotten in the end: another test's are called the same.
    """
    from tailorbird.cli import app

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tailorbird", *arguments])
        code = 0
        try:
            app.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    yield run
    here = f"{tmp_path}{os.sep}"
    for name, module in [*sys.modules.items()]:  # thousands, so that paths are compared as texts
        if str(getattr(module, "__file__", None) or "").startswith(here):
            del sys.modules[name]


@pytest.fixture
def tailorbird(
    command_line: Callable[..., tuple[int, str, str]],
) -> Callable[..., tuple[int, str, str]]:
    """The same; an error that nobody foresaw is a failure, whatever the test asks for.

    Tables that a machine busy with tests gives are seldom to be used, which is none.
    """

    def run(*arguments: str) -> tuple[int, str, str]:
        code, out, err = command_line(*arguments)
        assert "Nobody foresaw" not in err
        return (0 if code == NOT_USABLE else code), out, err

    return run


@pytest.fixture
def digits_space() -> StitchSpace:
    space = spaces.get("digits-resnet", batch=2)
    assert isinstance(space, StitchSpace)
    return space


@pytest.fixture
def tiny_space() -> StitchSpace:
    return StitchSpace(TinyFamily(3, 3), Windows(2, 1), max_stitches=2)


@pytest.fixture
def deit_like_space() -> StitchSpace:
    return StitchSpace(TinyFamily(3, 12), Windows(2, 1), max_stitches=1)


@pytest.fixture
def device() -> Device:
    return Device("local", "a processor", Target("x86_64-linux-gnu", "x86-64"), 1)


DATABASES = ["sqlite", "postgresql"] if SERVER in os.environ else ["sqlite"]
collect_ignore = [] if SERVER in os.environ else ["latency_tables/store/test_postgresql.py"]


@pytest.fixture(params=DATABASES)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """URLs of databases by name; each is empty at first, and gone in the end."""
    if request.param == "sqlite":
        yield lambda name: f"sqlite:///{tmp_path / name}.sqlite"
        return
    schemas: dict[str, str] = {}
    server = sa.make_url(os.environ[SERVER])
    engine = sa.create_engine(server, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")

    def url(name: str) -> str:
        if name not in schemas:
            schemas[name] = f"test_{uuid.uuid4().hex}"
            with engine.connect() as connection:
                connection.execute(sa.schema.CreateSchema(schemas[name]))
        within = server.update_query_dict({"options": f"-csearch_path={schemas[name]}"})
        return within.render_as_string(hide_password=False)

    yield url
    with engine.connect() as connection:
        for schema in schemas.values():
            connection.execute(sa.schema.DropSchema(schema, cascade=True))


@pytest.fixture
def url(urls: Callable[[str], str]) -> str:
    return urls("store")


@pytest.fixture
def store(url: str) -> Store:
    return Store(url)


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def profiler(runtime: FakeRuntime, device: Device, store: Store) -> Profiler:
    return Profiler(runtime, device, 2, store)

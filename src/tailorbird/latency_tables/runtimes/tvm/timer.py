"""The process that runs and times TVM's libraries: `python -m … CORES`."""

from functools import partial
from pathlib import Path
from typing import Any

import tvm

from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.tvm.library import Library

BIG_CORES = 1
"""`ThreadGroup::kBig`, TVM's default."""


class _Here:
    """This process, as the host of programs."""

    cpu = tvm.cpu()

    def load(self, path: Path) -> Any:
        """Loads a library; returns TVM's module of it."""
        return tvm.runtime.load_module(str(path))


def start_threads(n_threads: int) -> None:
    """Starts TVM's threads, this one included."""
    tvm.get_global_func("runtime.config_threadpool")(BIG_CORES, n_threads)


if __name__ == "__main__":
    serve(partial(Library, _Here()), start_threads)

"""torch without a compiler as a runtime: operator by operator."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.latency_tables.runtimes.exported import ExportedRuntime, ExportFormat

if TYPE_CHECKING:
    from torch import Tensor, nn


def _write(module: "nn.Module", inputs: "tuple[Tensor, ...]", path: Path) -> Mapping[str, str]:
    from tailorbird.latency_tables.runtimes.torch_eager.export import export

    export(module, inputs, path)
    return {}


class EagerRuntime(ExportedRuntime):
    """Traces a module into the torch operators that it calls, and times those in a worker.

    What Python takes to call modules and hooks is left out, as it is in a network that is served.
    """

    name = "torch"
    extra = "training"
    target = "CPU"
    schedule = "eager-1"  # one kernel after another; the number changes when other ones are called
    files = ExportFormat(".pt2", (), _write)

"""Hardware-aware architecture search on latency that was measured, and checked, on the device."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailorbird.pipeline.opening import open_recipe

__all__ = ["__version__", "open_recipe"]
__version__ = "0.2.0"


if not TYPE_CHECKING:  # or else type checkers would take any name for an export

    def __getattr__(name: str) -> Any:
        """Imports `open_recipe` at its first use, since it loads much (PEP 562)."""
        if name != "open_recipe":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module("tailorbird.pipeline.opening").open_recipe

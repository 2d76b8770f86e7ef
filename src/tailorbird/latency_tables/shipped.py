"""Tables that were measured elsewhere: those that come with the package, and users' files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from tailorbird.errors import DeviceError, nearest, shown
from tailorbird.latency_tables.devices.device import HERE
from tailorbird.latency_tables.formats import files as table_files
from tailorbird.latency_tables.tables.configuration import Configuration, tell
from tailorbird.latency_tables.tables.record import Record


@dataclass(frozen=True, slots=True)
class ShippedTable:
    """A file of the package, `DEVICE.SPACE.RUNTIME.parquet`."""

    device: str
    space: str
    runtime: str
    file: Traversable

    def read(self) -> Record:
        """Reads the record that the file holds."""
        with as_file(self.file) as path:
            return replace(table_files.read(path), device=self.device)


def folder() -> Traversable:
    """The folder of the package that holds its tables."""
    return files("tailorbird.latency_tables") / "data"


def shipped_tables() -> list[ShippedTable]:
    """Lists the tables that come with the package, ordered by file name."""
    tables = []
    for file in sorted(folder().iterdir(), key=lambda file: file.name):
        if file.name.endswith(".parquet"):
            device, space, runtime = file.name.removesuffix(".parquet").split(".")
            tables.append(ShippedTable(device, space, runtime, file))
    return tables


def known(name: str, space: str, runtime: str) -> Record:
    """Reads the table of a device to adapt from, however it was measured.

    Args:
        name: of a device that comes with the package, or the path of an exported file.
        space: as recipes name it.
        runtime: that is preferred, where a device has tables of several.

    Raises:
        DeviceError: if there is none.
    """
    if table_files.is_file(Path(name)):
        return replace(table_files.read(Path(name)), device=name)
    other = [
        table.runtime for table in shipped_tables() if (table.device, table.space) == (name, space)
    ]
    return _shipped(name, space, runtime if runtime in other or not other else other[0]).read()


def find(name: str, space: str, asked: Mapping[str, object]) -> Record:
    """Reads the table that a recipe names as its device.

    Args:
        name: of a device that comes with the package, or the path of an exported file.
        space: as recipes name it.
        asked: threads, batch, runtime and schedule of the recipe.

    Raises:
        DeviceError: if there is none, or it was measured otherwise than the recipe says.
    """
    if table_files.is_file(Path(name)):
        record = replace(table_files.read(Path(name)), device=name)
    else:
        record = _shipped(name, space, str(asked["runtime"])).read()
    differences = _differences(record.configuration, asked)
    if differences:
        raise DeviceError(
            f"The table of {name!r} was not measured as the recipe asks (table / recipe: "
            f"{tell(differences)}). Ask for the same, or name another table."
        )
    return record


def _shipped(name: str, space: str, runtime: str) -> ShippedTable:
    tables = shipped_tables()
    of_device = [table for table in tables if table.device == name]
    if not of_device:
        known = nearest(name, [HERE, *{table.device for table in tables}])
        raise DeviceError(f"There is no device named {shown(name)}; {known}")
    for table in of_device:
        if (table.space, table.runtime) == (space, runtime):
            return table
    held = ", ".join(f"{table.space} by {table.runtime}" for table in of_device)
    raise DeviceError(
        f"The tables of {name!r} are of {held}, but the recipe asks for {space} by {runtime}. "
        f"Use one of those, or measure this machine, {HERE!r}."
    )


def _differences(
    configuration: Configuration, asked: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
    held = asdict(configuration)
    # A recipe names the kind of schedule; a table the version of its rules as well.
    held["schedule"] = configuration.schedule.partition("-")[0]
    return {name: (held[name], asked[name]) for name in asked if held[name] != asked[name]}

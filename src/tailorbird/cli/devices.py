"""Commands on devices, and on programs for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird.cli.recipe_run import opened, warn
from tailorbird.cli.terminal import echo, echo_json, tell
from tailorbird.errors import DeviceError, RecipeError, TailorbirdError

if TYPE_CHECKING:
    from tailorbird.latency_tables import Record
    from tailorbird.latency_tables.devices.rpc_address import RpcAddress

Facts = dict[str, object]


def devices(
    recipes: Annotated[
        list[Path] | None, typer.Argument(metavar="[RECIPE]...", help="Whose devices to show.")
    ] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="An RPC server of TVM.")
    ] = None,
    tracker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="An RPC tracker of TVM.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lists this machine, devices whose tables come with the package, servers and recipes' devices.

    Servers are asked what they are; a recipe's table is counted.

    Example: `tailorbird devices --tracker 127.0.0.1:9190`.
    """
    from tailorbird.latency_tables.devices.rpc_address import RpcAddress

    found = [_this_machine()]
    if not (recipes or endpoint or tracker):
        found += _shipped()
    for address in endpoint or ():
        found.append(_behind(RpcAddress.parse(address)))
    if tracker is not None:
        found += _all_behind(RpcAddress.parse(tracker))
    found += [_of_recipe(recipe) for recipe in recipes or ()]
    if as_json:
        echo_json(found)
        return
    for number, facts in enumerate(found):
        echo("" if number else "This machine:")
        show(facts)


def compile_(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New, or empty.")],
    objects: Annotated[
        bool, typer.Option("--objects", help="Objects in .tar files, to be linked elsewhere.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compiles every workload of the space for the recipe's device, and measures nothing.

    Example: `tailorbird compile mine.toml libraries`.
    """
    from tailorbird.latency_tables.devices.device import NOWHERE
    from tailorbird.latency_tables.profiling.space_programs import programs_of
    from tailorbird.latency_tables.runtimes.tvm.compile import library_folder

    with opened(recipe) as run:
        device = run.latency.device
        if (run.recipe.latency.runtime, run.recipe.latency.schedule) != ("tvm", "static"):
            raise RecipeError(
                "Programs are compiled by TVM and its static schedule: drop [latency] runtime and "
                "schedule."
            )
        if device.target == NOWHERE:
            raise RecipeError(
                f"Nothing is known of {device.name!r} that programs could be compiled for: name a "
                "[device] target."
            )
        if not run.space.workloads:
            raise RecipeError(
                f"Workloads of a space are compiled, but {run.space.name} names none. Name them in "
                "its `workloads`, or write networks with `tailorbird export`."
            )
        try:
            manifest = library_folder.write(
                programs_of(run.space),
                device.target,
                device.threads,
                folder,
                ".tar" if objects else ".so",
                run.progress,
            )
        except DeviceError as error:
            raise RecipeError(f"[device] target: {error}") from None
    facts = {"target": str(device.target), "manifest": str(manifest)}
    tell(f"Programs for {device.target} are listed in {manifest}.", facts, as_json)


def show(facts: Mapping[str, object]) -> None:
    """Prints facts in two columns."""
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = f"{value:.3g}" if isinstance(value, float) else value
        echo(f"{name:<{width}}  {shown}")


def _this_machine() -> Facts:
    from tailorbird.latency_tables.devices import device

    local = device.find("local", threads=1)
    facts = {"name": local.name, "cpu": local.cpu, "target": str(local.target)}
    return {**facts, **device.provenance(local)}


def _shipped() -> list[Facts]:
    from tailorbird.latency_tables import shipped

    found = []
    for table in shipped.shipped_tables():
        record = table.read()
        found.append({"name": record.device, **_held(record), "space": table.space})
    return found


def _held(record: "Record") -> Facts:
    """Facts of a table: what it is of, and how good it is."""
    from tailorbird.latency_tables.tables.listing import quality

    configuration = record.configuration
    facts = ("cpu", "target", "threads", "batch", "runtime", "schedule")
    held = {name: getattr(configuration, name) for name in facts}
    return {**held, "space": record.space, **quality(record.table(1))}


def _behind(server: "RpcAddress") -> Facts:
    """Facts that a server tells of itself, or why it tells none."""
    from tailorbird.latency_tables.runtimes.tvm.rpc.client import facts_of

    if server.risk:
        warn(server.risk)
    facts: Facts = {"server": str(server)}
    try:
        said = facts_of(server)
    except TailorbirdError as error:
        return {**facts, "reachable": False, "reason": str(error)}
    told = {"cpu": said.cpu, "target": str(said.target), "cores": said.cores}
    return {**facts, "reachable": True, **told, "tvm": said.tvm_version or "not told"}


def _all_behind(tracker: "RpcAddress") -> list[Facts]:
    """Facts of one device of each key that a tracker has."""
    from dataclasses import replace

    from tailorbird.latency_tables.runtimes.tvm.rpc.client import devices_behind

    try:
        behind = devices_behind(tracker)
    except TailorbirdError as error:
        return [{"tracker": str(tracker), "reachable": False, "reason": str(error)}]
    return [
        {"key": key, "addresses": addresses, **_behind(replace(tracker, key=key))}
        for key, addresses in sorted(behind.items())
    ]


def _of_recipe(path: Path) -> Facts:
    """Facts of a recipe's device: whether it answers, and what its table holds."""
    facts: Facts = {"recipe": str(path)}
    try:
        with opened(path) as run:
            latency = run.latency
            facts["name"] = latency.device.name
            if latency.device.server is not None:
                facts |= _behind(latency.device.server)
            return facts | (_held(latency.record()) if latency.has_table() else {"n_rows": 0})
    except TailorbirdError as error:
        return facts | {"reason": str(error)}

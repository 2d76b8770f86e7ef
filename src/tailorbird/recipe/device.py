"""The table [device]."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.errors import shown
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.devices.target import is_gpu
from tailorbird.recipe.section import Count, Section


class DeviceSection(Section):
    """The device that latency is measured on.

    Attributes:
        name: `local` for this machine, any name for one behind a server; or that of a device whose
            table comes with the package, or the path of an exported table.
        threads: threads that a network may use.
        target: what TVM compiles for, such as `llvm -mcpu=cortex-a72`; found out if left out.
        endpoint: address `HOST:PORT` of TVM's RPC server on the device.
        tracker: address `HOST:PORT` of TVM's RPC tracker, which knows such servers.
        key: name by which the tracker knows the device.
        batch: images at a time, of which every latency is.
    """

    name: str = "local"
    threads: Count = 1
    target: Annotated[str, Field(min_length=1)] | None = None
    endpoint: Annotated[str, Field(min_length=1)] | None = None
    tracker: Annotated[str, Field(min_length=1)] | None = None
    key: Annotated[str, Field(pattern=r"^[^\s:]+$")] | None = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 1

    @field_validator("target")
    @classmethod
    def _is_a_processor(cls, target: str | None) -> str | None:
        if target is not None and is_gpu(target):
            raise PydanticCustomError(
                "device",
                "[device] target = {target}: TVM measures processors here, and no GPUs. Have a GPU "
                "measured by a command of your own: drop target, and write [latency] runtime = "
                '"command"',
                {"target": shown(target)},
            )
        return target

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.endpoint is not None and self.tracker is not None:
            raise PydanticCustomError(
                "device", "[device] has an endpoint or a tracker, not both: drop one"
            )
        if (self.tracker is None) != (self.key is None):
            raise PydanticCustomError(
                "device", "[device] tracker and key go together: the tracker is asked for that key"
            )
        return self

    @property
    def server(self) -> RpcAddress | None:
        """Address of the device's server; None for this machine, and for tables of others.

        Raises:
            RecipeError: if it is no address.
        """
        address = self.endpoint or self.tracker
        return None if address is None else RpcAddress.parse(address, self.key)

"""Network address of a device: its RPC server of TVM, or a tracker that knows several."""

import ipaddress
from dataclasses import asdict, dataclass
from typing import Self

from tailorbird.errors import RecipeError


@dataclass(frozen=True, slots=True)
class RpcAddress:
    """Host and port of an RPC server, or of a tracker.

    Attributes:
        host: name, or number.
        port: of the server, or of the tracker.
        key: kind of device that the tracker is asked for; None where there is no tracker.
    """

    host: str
    port: int
    key: str | None = None

    @classmethod
    def parse(cls, text: str, key: str | None = None) -> Self:
        """Parses `host:port`; an IPv6 number stands in brackets.

        Raises:
            RecipeError: if it is none.
        """
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise RecipeError(
                f"An address must be 'host:port', such as '192.168.0.7:9090', but got {text!r}."
            )
        return cls(host.strip("[]"), int(port), key)

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach it; TVM's servers run what anybody sends them."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def risk(self) -> str | None:
        """Warning about a server that other machines can reach; None if they cannot."""
        if self.is_loopback:
            return None
        return (
            f"TVM's RPC has no authentication: whoever reaches {self} can run programs there. "
            "Keep it in a network that you trust."
        )

    @property
    def facts(self) -> dict[str, str | int | None]:
        """Host, port and key, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = f"{host}:{self.port}"
        return address if self.key is None else f"{self.key!r} behind the tracker at {address}"

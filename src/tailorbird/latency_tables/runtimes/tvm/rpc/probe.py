"""The process that asks who is behind RPC servers: `python -m … CORES`.

Each line of standard input is a request. {server, triple, patience_s, limit_s} is answered by the
{facts} of a device, {tracker, limit_s} by the {devices} behind it, by key; or by {error}.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from tailorbird.latency_tables.devices.host import HostFacts
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.devices.target import host_triple, triple_of
from tailorbird.latency_tables.runtimes.process.service import listen
from tailorbird.latency_tables.runtimes.tvm.compile import stopwatch
from tailorbird.latency_tables.runtimes.tvm.rpc.session import (
    Remote,
    connect,
    devices_behind,
    refuse_other_versions,
)

_AGAIN_S = 1.0  # between tries


def _answer_or_error(request: dict[str, Any]) -> dict[str, Any]:
    """Answers a request; errors go without the names of exceptions, as they end a sentence."""
    try:
        return _answer(request)
    except Exception as error:  # noqa: BLE001  # whatever went wrong is the answer
        return {"error": (str(error).strip().splitlines() or [type(error).__name__])[-1]}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    if "tracker" in request:
        return {"devices": devices_behind(RpcAddress(**request["tracker"]))}
    server, deadline = RpcAddress(**request["server"]), time.monotonic() + request["patience_s"]
    while True:
        try:
            remote = connect(server)
            break
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)
    try:
        facts = _facts(remote, request["triple"])
        refuse_other_versions(facts)
    finally:
        remote.close()
    return {"facts": facts.text}


def _facts(remote: Remote, triple: str | None) -> HostFacts:
    with tempfile.TemporaryDirectory() as folder:
        stopwatch.build(triple or _triple(remote), Path(folder))
        return remote.facts(Path(folder))


def _triple(remote: Remote) -> str:
    """Triple of a server; one without a compiler does not tell, and is taken for this machine's."""
    try:
        triple = str(remote.session.get_function("target.llvm_get_system_triple")())
    except Exception:  # noqa: BLE001  # TVM raises one of several where there is no such function
        return host_triple()
    return triple_of(triple.partition("-")[0])


if __name__ == "__main__":
    listen(_answer_or_error)

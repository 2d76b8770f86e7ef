"""A host of original files on loopback, faults included, and a small table to fetch from it."""

import gzip
import hashlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd

from tailorbird.published.sources import Original
from tailorbird.published.tables import TABLES, PublishedTable

Fault = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers a request in its own way; it is given what should be sent."""

CONTENTS = {f"{name}.txt": name.encode() * 5_000 for name in ("one", "two", "three")}


def toy(contents: Mapping[str, bytes] = CONTENTS) -> PublishedTable:
    """A table that holds the sizes of its originals, and is as large as they are together."""
    originals = tuple(
        Original("o/r", "c" * 40, f"d/{name}", "MIT", len(text), hashlib.sha256(text).hexdigest())
        for name, text in contents.items()
    )

    def convert(files: Mapping[str, Path]) -> pd.DataFrame:
        texts = [path.read_bytes() for path in files.values()]
        noise = [hashlib.sha512(text + bytes([i])).hexdigest() for text in texts for i in range(99)]
        return pd.DataFrame({"path": [*files], "size": [*map(len, texts)], "noise": "".join(noise)})

    return PublishedTable("toy", "sizes of texts", "toy.csv.gz", originals, convert)


class Mirror:
    """A server that counts requests.

    Attributes:
        contents: files by the end of their path.
        faults: answers that differ, likewise.
        paths: of all requests.
        url: of the server.
    """

    def __init__(self, contents: Mapping[str, bytes] = CONTENTS) -> None:
        self.contents = dict(contents)
        self.faults: dict[str, Fault] = {}
        self.paths: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.paths.append(request.path)
        name = request.path.rpartition("/")[2]
        fault = self.faults.get(name, send)
        fault(request, self.contents[name])

    @property
    def names(self) -> list[str]:
        """Last parts of the paths of all requests."""
        return [path.rpartition("/")[2] for path in self.paths]


@contextmanager
def mirror() -> Iterator[Mirror]:
    """A server for as long as it is used."""
    made = Mirror()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def send(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """What is asked for."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def packed(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Compressed on the way, as GitHub's host sends text."""
    on_the_way = gzip.compress(content)
    request.send_response(200)
    request.send_header("Content-Encoding", "gzip")
    request.send_header("Content-Length", str(len(on_the_way)))
    request.end_headers()
    request.wfile.write(on_the_way)


def sized(size: int) -> Fault:
    """So many bytes, whose number is not told beforehand."""

    def fault(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write((content * 2)[:size])

    return fault


def status(code: int) -> Fault:
    """An error of HTTP."""
    return lambda request, content: request.send_error(code)


def garbled(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """As many bytes, but others."""
    send(request, content[::-1].upper())


def torn(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Half of what is told beforehand, and then the end."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def killed(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Half of it, and then a reset, as from a process that was killed."""
    torn(request, content)
    request.wfile.flush()
    time.sleep(0.05)
    reset = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    request.connection.close()


def silent(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Nothing, for longer than tests wait."""
    time.sleep(1)


def stalled(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Half of it, and then nothing."""
    torn(request, content)
    request.wfile.flush()
    time.sleep(1)


def trickling(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """A few bytes at a time, never long after the last ones."""
    request.send_response(200)
    request.end_headers()
    with suppress(OSError):  # whoever asked has gone
        for i in range(0, len(content), 50):
            request.wfile.write(content[i : i + 50])
            time.sleep(0.01)


def after(event: threading.Event) -> Fault:
    """What is asked for, once something has happened."""

    def fault(request: BaseHTTPRequestHandler, content: bytes) -> None:
        event.wait(20)
        send(request, content)

    return fault


def raw(answer: bytes) -> Fault:
    """These bytes in place of an answer, status and headers included."""
    return lambda request, content: request.connection.sendall(answer)


def moved_to(place: str) -> Fault:
    """The address where a file is now."""

    def fault(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.send_response(302)
        request.send_header("Location", place)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return fault


def announced(size: int) -> Fault:
    """So many bytes are told beforehand; what is asked for comes, and then nothing."""

    def fault(request: BaseHTTPRequestHandler, content: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(size))
        request.end_headers()
        with suppress(OSError):  # whoever asked has gone
            request.wfile.write(content)
            request.wfile.flush()
            time.sleep(1)

    return fault


def moved_with_much(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """The address where a file is now, with 2 GiB of explanation."""
    request.send_response(302)
    request.send_header("Location", "/elsewhere")
    request.send_header("Content-Length", str(2**31))
    request.end_headers()
    with suppress(OSError):
        for _ in range(2**11):
            request.wfile.write(bytes(2**20))


if __name__ == "__main__":  # `tailorbird data get` in a process of its own, with the small table
    from tailorbird.cli.app import main

    TABLES["toy"] = toy()
    sys.argv = ["tailorbird", *sys.argv[1:]]
    main()

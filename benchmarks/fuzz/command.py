"""The command line in this process, with all that it writes to the two streams."""

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fuzz.case import Ran

OUT, ERR = 1, 2


def run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ran:
    """Runs a command in a folder; whatever it raises is told, and never raised."""
    from tailorbird.cli import app

    code, raised = 0, None
    os.chdir(folder)
    os.environ.update(environment)
    with _written_to(folder.with_suffix(".out"), folder.with_suffix(".err")) as texts:
        sys.argv = ["tailorbird", *arguments]
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException as error:  # noqa: BLE001  # nothing may come through
            code, raised = 1, f"{type(error).__name__}: {error}"
    out, err = (_decoded(text) for text in texts)
    return Ran(tuple(arguments), code, out, err, raised)


@contextmanager
def _written_to(*paths: Path) -> Iterator[list[bytes]]:
    """Standard output and errors in files, of libraries in C as well; their contents at the end."""
    texts: list[bytes] = []
    kept = [os.dup(number) for number in (OUT, ERR)]
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    for number, path in zip((OUT, ERR), paths, strict=True):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", errors, write_through=True)
        for number, errors in ((OUT, "strict"), (ERR, "backslashreplace"))
    )
    try:
        yield texts
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # as after a broken pipe
                stream.flush()
        sys.stdout, sys.stderr = streams
        for number, descriptor in zip((OUT, ERR), kept, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        texts += [path.read_bytes() for path in paths]
        for path in paths:
            path.unlink()


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")

"""The folder of a run: one process at a time works in it, and a log tells what it did."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from tailorbird.errors import BusyError, RecipeError, naming
from tailorbird.latency_tables.devices.locks import file_lock
from tailorbird.progress import printable
from tailorbird.storage.atomic import make_folder

LOG = logging.getLogger("tailorbird")


@contextmanager
def held(folder: Path, recipe: Path | None) -> Iterator[None]:
    """Keeps other processes out, and writes the log.

    Args:
        folder: of the run.
        recipe: path of its recipe, which commands in the log and in warnings name.

    Raises:
        BusyError: if another process works in the folder.
        RecipeError: if it cannot be written.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from None
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / ".lock", timeout_s=0))
        except Timeout:
            raise BusyError(
                f"Another process is working in {str(folder)!r}. "
                "Wait for it, or give this recipe another name."
            ) from None
        stack.enter_context(_logged(folder, recipe))
        yield


class _LogFile(logging.FileHandler):
    """A log file; when the disk is full it says so once, and the run goes on without."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Leaves the logger, where the standard library prints a traceback for each line."""
        LOG.removeHandler(self)
        LOG.warning("The log %r cannot be written any more (%s).", self.baseFilename, _reason())

    def close(self) -> None:
        """Closes the file, which tries once more to write what it holds."""
        with suppress(OSError):
            super().close()


def _reason() -> str:
    error = sys.exception()
    return str(getattr(error, "strerror", None) or error)


@contextmanager
def _logged(folder: Path, recipe: Path | None) -> Iterator[None]:
    path = folder / "run.log"
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for a reader
            raise RecipeError(f"{str(path)!r} must be a plain file, but is none. Remove it.")
        log = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise _unusable(folder, error) from None
    log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    # The last shows warnings on the terminal, above a bar.
    handlers = [log, *([logging.lastResort] if logging.lastResort is not None else [])]
    made_readable = _Readable(recipe)
    for handler in handlers:
        handler.addFilter(made_readable)
        LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.removeFilter(made_readable)
        log.close()


class _Readable(logging.Filter):
    """Filter that keeps every record, but makes what failing programs say harmless to a terminal.

    Args:
        recipe: path that commands name.
    """

    def __init__(self, recipe: Path | None) -> None:
        super().__init__()
        self._recipe = recipe

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the message."""
        record.msg, record.args = printable(naming(record.getMessage(), self._recipe)), ()
        return True


def _unusable(folder: Path, error: OSError) -> RecipeError:
    return RecipeError(
        f"The folder {str(folder)!r} cannot be used: {error.strerror}. Run where you may write."
    )

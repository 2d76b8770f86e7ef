"""The folder of a run: one process at a time works in it, and a log tells what it did."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from tailorbird.errors import BusyError, RecipeError
from tailorbird.latency_tables.devices.locks import file_lock
from tailorbird.progress import printable
from tailorbird.storage.atomic import make_folder

LOG = logging.getLogger("tailorbird")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other processes out, and writes the log.

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
        stack.enter_context(_logged(folder))
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
def _logged(folder: Path) -> Iterator[None]:
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
    for handler in handlers:
        handler.addFilter(_made_printable)
        LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.removeFilter(_made_printable)
        log.close()


def _made_printable(record: logging.LogRecord) -> bool:
    """Makes what failing programs say harmless to a terminal; keeps every record."""
    record.msg, record.args = printable(record.getMessage()), ()
    return True


def _unusable(folder: Path, error: OSError) -> RecipeError:
    return RecipeError(
        f"The folder {str(folder)!r} cannot be used: {error.strerror}. Run where you may write."
    )

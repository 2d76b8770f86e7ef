"""Entry point of `python -m tailorbird` and of the command `tailorbird`."""

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from tailorbird.cli.interruption import CODE, Signals


def main() -> None:
    """Runs the command line; signals are listened to before its modules are loaded."""
    signals = Signals()
    signals.listen()
    codes: list[int] = []
    atexit.register(_leave, signals, codes)  # the first that is registered runs last
    try:
        from tailorbird.cli.app import command_line

        try:
            command_line(signals)
        except SystemExit as ended:
            codes.append(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
            raise
    except KeyboardInterrupt:
        signals.is_ending = True
        sys.exit(f"tailorbird: {signals.sentence}")  # prints it, and is code 1


def _leave(signals: Signals, codes: Sequence[int]) -> None:
    """Ends a process that was interrupted, or one of several ranks, after all that end with it.

    Python would end it by SIGINT instead, if that came while it ran code from a text, as
    dataclasses do.

    Args:
        signals: those that came.
        codes: exit code of a command that ended.
    """
    if signals.came and signals.is_ending:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # nobody reads, closed, None
                stream.flush()
        os._exit(CODE)
    if codes:
        from tailorbird.cli.ranks import leave

        leave(codes[-1])


if __name__ == "__main__":
    main()

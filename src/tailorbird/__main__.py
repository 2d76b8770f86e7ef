"""Entry point of `python -m tailorbird` and of the command `tailorbird`."""

import atexit
import os
import sys
from contextlib import suppress

from tailorbird.cli.interruption import CODE, Signals


def main() -> None:
    """Runs the command line; signals are listened to before its modules are loaded."""
    signals = Signals()
    signals.listen()
    atexit.register(_leave, signals)  # the first that is registered runs last
    try:
        from tailorbird.cli.app import command_line
        from tailorbird.cli.ranks import leave

        try:
            command_line(signals)
        except SystemExit as ended:
            leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
            raise
    except KeyboardInterrupt:
        signals.is_ending = True
        sys.exit(f"tailorbird: {signals.sentence}")  # prints it, and is code 1


def _leave(signals: Signals) -> None:
    """Ends a process that was interrupted, after all other functions registered for its end.

    Python would end it by SIGINT instead, if that came while it ran code from a text, as
    dataclasses do.
    """
    if signals.came and signals.is_ending:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # nobody reads, closed, None
                stream.flush()
        os._exit(CODE)


if __name__ == "__main__":
    main()

"""Signals that ask a command to end: it leaves in order, whatever it is doing."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Lets the signals of a scheduler and of a closed terminal end a command as Ctrl-C does.

    Signals that somebody else handles or ignores, such as nohup, stay theirs.

    Yields:
        Numbers of the signals that came, as long as they come.
    """
    came: list[int] = []

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    with ExitStack() as handlers:
        for number, usual in _ENDING.items():
            if signal.getsignal(number) == usual:
                signal.signal(number, leave)
                handlers.callback(signal.signal, number, usual)
        yield came

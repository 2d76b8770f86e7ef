"""Signals that ask a command to end, which it then does in order."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

STOPPED = "stopped. What was done is kept; run again to go on."
UNASKED = "stopped by a KeyboardInterrupt that some code raised, and no signal. Look for it there."
CODE = 1
"""Exit code of a command that a signal ended."""

_AGAIN_S = 0.005
_Hook = Callable[["sys.UnraisableHookArgs"], object]

_ENDING: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


class Signals:
    """Signals of a scheduler or a closed terminal, which end a command as Ctrl-C does.

    Attributes:
        came: numbers of the signals that came so far.
        is_ending: True once the command only has to say how it ended; a further signal then ends
            the process at once.
    """

    def __init__(self) -> None:  # by hand: dataclasses take longer to load than all else here
        self.came: list[int] = []
        self.is_ending = False
        self._is_lost = False
        self._is_telling = False

    @property
    def sentence(self) -> str:
        """Sentence on a command that a KeyboardInterrupt ended."""
        return STOPPED if self.came else UNASKED

    def listen(self) -> list[signal.Signals]:
        """Handles the signals that nobody else handles, or ignores as nohup does; returns them."""
        taken = [number for number, usual in _ENDING.items() if signal.getsignal(number) == usual]
        for number in taken:
            signal.signal(number, self._leave)
        sys.unraisablehook = self._told_again(sys.unraisablehook)
        return taken

    def _told_again(self, otherwise: _Hook) -> _Hook:
        """Returns a hook that sends a signal again which was lost in a destructor.

        Errors that are raised there end nothing.
        """

        def hook(met: "sys.UnraisableHookArgs") -> None:
            if self.came and issubclass(met.exc_type, KeyboardInterrupt):
                self._is_lost = self._is_telling = True  # an error in here would be lost as well
                Thread(target=self._send_again, args=(self.came[-1],), daemon=True).start()
                self._is_telling = False
            else:
                otherwise(met)

        return hook

    def _send_again(self, number: int) -> None:
        while self._is_lost:
            time.sleep(_AGAIN_S)
            n_came = len(self.came)
            os.kill(os.getpid(), number)
            while len(self.came) == n_came:
                time.sleep(_AGAIN_S)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._is_lost = self._is_lost and self._is_telling
        self.came.append(number)
        if self.is_ending:
            os._exit(CODE)
        if not self._is_telling:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Signals]:
    """Lets signals end the block, inside a process that goes on afterwards."""
    signals, hook = Signals(), sys.unraisablehook
    taken = signals.listen()
    try:
        yield signals
    finally:
        sys.unraisablehook = hook
        for number in taken:
            signal.signal(number, _ENDING[number])

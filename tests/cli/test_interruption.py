"""Signals at moments that are hard to meet: while modules load, in callbacks, at the very end."""

import signal
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from tailorbird.cli import interruption
from tailorbird.cli.interruption import interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ENDS = """
import atexit, os, runpy, sys

number, module, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]
send = lambda: os.kill(os.getpid(), number)

class Sends:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            exec("send()") if how == "in a text" else send()

if how == "twice":
    atexit.register(send)
sys.meta_path.insert(0, Sends())
sys.argv = ["tailorbird", "data", "list"]
runpy.run_module("tailorbird", run_name="__main__")
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("module", "how"),
    [
        ("tailorbird.cli.app", "once"),
        ("typer.main", "once"),
        ("tailorbird.published.tables", "once"),  # by the body of a command
        ("tailorbird.published.tables", "in a text"),  # Python would end by SIGINT
        ("tailorbird.published.tables", "twice"),
    ],
)
def test_a_signal_ends_a_command_with_one_message_from_its_first_import_to_its_last_breath(
    module: str, how: str, number: signal.Signals, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ENDS, str(int(number)), module, how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    message = "tailorbird: stopped. What was done is kept; run again to go on.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


class Thing:
    """Can be referred to weakly."""


@pytest.mark.parametrize("pause_s", [interruption._AGAIN_S, 0])  # 0: lost while it is told, too
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_callback_of_a_destructor_is_not_lost(
    number: signal.Signals, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "_AGAIN_S", pause_s)
    sent: Callable[[object], None] = lambda _: signal.raise_signal(number)  # noqa: E731
    thing = Thing()
    kept = weakref.ref(thing, sent)
    hook = sys.unraisablehook
    with interruptible() as signals, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        del thing
        signal.sigtimedwait([signal.SIGUSR1], 10)
    assert kept() is None
    assert set(signals.came) == {number}
    assert sys.unraisablehook is hook

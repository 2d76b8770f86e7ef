"""Tries to measure programs, and which of them count."""

from collections.abc import Container, Iterable
from typing import NamedTuple, Protocol, TypeVar


class Try(Protocol):
    """One try to measure one program, or a latency that others stated."""

    @property
    def key(self) -> str:
        """Key of the program."""

    @property
    def status(self) -> str:
        """`measured`, `imported`, `discarded` or `failed`."""

    @property
    def session(self) -> str:
        """What tells its session from others."""

    @property
    def number(self) -> int | None:
        """Number of the round; None if it failed."""


class BareTry(NamedTuple):
    """A try without its samples, see `Try`."""

    key: str
    status: str
    session: str
    number: int | None


T = TypeVar("T", bound=Try)


def deciding(tries: Iterable[T], imported: Container[str]) -> list[T]:
    """Tries that decide about their programs, in their order: discarded ones are left out.

    Where a program was tried here, files have no say: they neither void nor outweigh that.

    Args:
        tries: in the order of their store.
        imported: sessions that came from files.
    """
    kept = [one for one in tries if one.status != "discarded"]
    here = {one.key for one in kept if one.session not in imported}
    return [one for one in kept if one.session not in imported or one.key not in here]


def accepted(tries: Iterable[T], imported: Container[str]) -> dict[str, list[T]]:
    """The rounds that count, by key, in their order.

    A failure voids what the same program took before it: whatever broke it may have been at work
    already. So it is incomplete until it was measured anew, however many rounds it had.

    Args:
        tries: in the order of their store.
        imported: sessions that came from files.
    """
    found: dict[str, list[T]] = {}
    for one in deciding(tries, imported):
        if one.status == "failed":
            found.pop(one.key, None)
        else:
            found.setdefault(one.key, []).append(one)
    return found


def taken(tries: Iterable[T], imported: Container[str], rounds: int) -> dict[str, list[T]]:
    """The accepted rounds that a profiler which wants so many can go on from, by key.

    Those from a file count where they are enough by themselves: once there is one from here, they
    no longer would.

    Args:
        tries: in the order of their store.
        imported: sessions that came from files.
        rounds: that each program shall have.
    """
    return {
        key: of
        for key, of in accepted(tries, imported).items()
        if len(of) >= rounds or of[0].session not in imported
    }

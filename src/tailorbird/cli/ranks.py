"""Processes that torchrun starts: how they join, and which of them says how the command ended."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Protocol

import typer

from tailorbird.errors import RanksError, RecipeError

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_FIRST_WORD_S = 1.0  # that others leave to the first rank, should all have met the same error
_SPOKEN = "tailorbird/spoken"
_LONGEST_WAIT = timedelta(hours=2)  # for a rank that lives; dead ones are noticed at once


class _Store(Protocol):
    """What all processes share."""

    def add(self, key: str, amount: int) -> int:
        """Adds to a number, and returns the sum."""


_joined: list[_Store] = []


def n_ranks(environment: Mapping[str, str] = os.environ) -> int:
    """Number of processes that torchrun, or what sets the same variables, started together."""
    if not all(environment.get(name) for name in _VARIABLES):
        return 1
    size = environment["WORLD_SIZE"]
    return int(size) if size.isdecimal() else 1


def refuse_others() -> None:
    """Refuses to be one of several processes; the first one says so, others end.

    Raises:
        RecipeError: if it is the first of several.
    """
    if n_ranks() == 1:
        return
    if os.environ["RANK"] != "0":
        raise typer.Exit(1)
    raise RecipeError(
        "Of all commands only `tailorbird train` runs in several processes of torchrun. Train so, "
        "then go on in one process; `tailorbird evaluate RECIPE` shares evaluations."
    )


@contextmanager
def joined() -> Iterator[bool]:
    """Joins the processes that torchrun started, if it did; true for the first one.

    Raises:
        RanksError: if they do not find each other.
    """
    if n_ranks() == 1:
        yield True
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, n = next(rendezvous("env://"))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        if local_rank < torch.cuda.device_count():
            torch.cuda.set_device(local_rank)
        dist.init_process_group(
            backend, store=store, rank=rank, world_size=n, timeout=_LONGEST_WAIT
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise RanksError(
            f"All {n_ranks()} ranks must find each other at {os.environ['MASTER_ADDR']}, port "
            f"{os.environ['MASTER_PORT']}, but did not ({error})."
        ) from error
    _joined.append(store)
    if rank:
        logging.getLogger("tailorbird").addHandler(logging.NullHandler())
    yield rank == 0
    with suppress(RuntimeError):  # of one that died since
        dist.barrier()  # who leaves earlier cuts connections of others, and these abort as they end
    dist.destroy_process_group()


def leave(code: int) -> None:
    """Ends this process at once, if it was one of several.

    As a process ends on its own, threads of torch's gloo abort it now and then, when all is done.
    """
    if _joined:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, or none
                stream.flush()
        os._exit(code)


def has_the_word(error: BaseException) -> bool:
    """True for the process that says how a command ended: one, though several may have met it."""
    if not _joined:
        return True
    rank = int(os.environ["RANK"])
    if rank and not isinstance(error, KeyboardInterrupt | RanksError):
        time.sleep(_FIRST_WORD_S)
    with suppress(RuntimeError):
        return _joined[0].add(_SPOKEN, 1) == 1
    return rank == 0  # the store ended, with what hosted it


def speaker() -> str:
    """Name of this process, for what it says; empty if it is the first or the only one."""
    if not _joined or os.environ["RANK"] == "0":
        return ""
    return f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}, on {socket.gethostname()}: "

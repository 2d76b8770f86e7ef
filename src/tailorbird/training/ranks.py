"""Ranks: processes that train one network together, on one machine or on several."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from tailorbird.errors import RanksError
from tailorbird.spaces import IntArray
from tailorbird.storage.tensors import is_of, parsed, read
from tailorbird.training.shares import Share, share_of

_PIECE = 2**28  # bytes that are sent together


@dataclass(frozen=True, slots=True)
class Ranks:
    """Processes that train one network together, of which this is one.

    Each has the whole network and takes its share of the images of a step. A step is that of one
    process with all these images, up to rounding, unless norms are local or routes are own.

    Attributes:
        number: of this process, from 0 on; the first one reads and writes files.
        n: number of processes.
        local: number of this process on its machine.
        n_local: number of processes on its machine.
        batch_norms: `global`: statistics of all images of a step; `local`: of those of a rank.
        routes: `same`: all ranks run the same networks in a step; `own`: each draws its own, and a
            weight learns the mean of the ranks that used it. Norms are local then.
    """

    number: int = 0
    n: int = 1
    local: int = 0
    n_local: int = 1
    batch_norms: str = "global"
    routes: str = "same"

    @classmethod
    def present(cls, batch_norms: str = "global", routes: str = "same") -> Self:
        """Ranks that this process has joined; itself alone if none."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls(batch_norms=batch_norms, routes=routes)
        local, n_local = (
            int(os.environ.get(name, default))
            for name, default in (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
        )
        return cls(dist.get_rank(), dist.get_world_size(), local, n_local, batch_norms, routes)

    @property
    def is_first(self) -> bool:
        """True for the one that reads and writes files."""
        return self.number == 0

    @property
    def has_global_norms(self) -> bool:
        """True if batch norms need what other ranks see."""
        return self.n > 1 and self.batch_norms == "global" and self.routes == "same"

    @property
    def decides(self) -> dict[str, object]:
        """What decides weights: only what is no default; the number of ranks rounds only."""
        plain = Ranks()
        keys = {"batch_norms": "batch_norms", "routes": "rank_routes"}
        return {
            key: getattr(self, name)
            for name, key in keys.items()
            if getattr(self, name) != getattr(plain, name)
        }

    @property
    def own_draw(self) -> tuple[int, ...]:
        """What is added to the seed of the networks of a step; nothing where ranks run the same."""
        return (self.number,) if self.routes == "own" and self.number else ()

    def share(self, n_images: int, n_parts: int) -> Share:
        """Images of a step that this rank takes, of each part in which they pass."""
        return share_of(n_images, n_parts, self.number, self.n)

    def read(self, path: Path, identity: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Tensors and metadata of a file of this identity that the first rank has; None if none.

        Other ranks need no file, and thus no disk in common.
        """
        if self.n == 1:
            return read(path, identity)
        content = self._sent(lambda: path.read_bytes() if is_of(path, identity) else b"")
        return parsed(content) if content else None

    def agreed(self, is_so: Callable[[], bool]) -> bool:
        """What the first rank finds."""
        if self.n == 1:
            return is_so()
        return self._sent(lambda: b"1" if is_so() else b"") == b"1"

    def rows(self, X: IntArray, most: int) -> IntArray:
        """Rows (k, d) of the networks of a step: those of the first rank, or each its own.

        Args:
            X: what this rank drew.
            most: rows that any rank may have drawn.
        """
        if self.n == 1 or self.routes == "own":
            return X
        d = X.shape[1]
        message = torch.zeros(1 + most * d, dtype=torch.int64)
        message[0] = len(X)
        message[1 : 1 + X.size] = torch.from_numpy(X.astype(np.int64).ravel())
        self.together(lambda: dist.broadcast(message, 0))
        return message[1 : 1 + int(message[0]) * d].numpy().reshape(-1, d)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Lets the first rank of each machine go first: others find what it fetched or noted."""
        if self.local and self.n > 1:
            self.together(dist.barrier)
        try:
            yield
        finally:
            if not self.local and self.n > 1:
                self.together(dist.barrier)

    def align(self, tensors: Sequence[Tensor]) -> None:
        """Gives all ranks the values of the first, should what they computed differ in rounding."""
        if self.n > 1:
            for tensor in tensors:
                self.together(partial(dist.broadcast, tensor.detach(), 0))

    def gathered(self, values: Tensor) -> Tensor:
        """Values (d,) of all ranks, (n, d)."""
        everyone = [torch.empty_like(values) for _ in range(self.n)]
        self.together(lambda: dist.all_gather(everyone, values))
        return torch.stack(everyone)

    def summed(self, values: Tensor) -> Tensor:
        """Sum of the values of all ranks, in place."""
        self.together(lambda: dist.all_reduce(values))
        return values

    def _sent(self, content: Callable[[], bytes]) -> bytes:
        """Bytes that the first rank has."""
        raw = content() if self.is_first else b""
        size = torch.tensor([len(raw)])
        self.together(lambda: dist.broadcast(size, 0))
        buffer = np.frombuffer(raw, dtype=np.uint8).copy() if self.is_first else None
        if buffer is None:
            buffer = np.empty(int(size), dtype=np.uint8)
        for first in range(0, len(buffer), _PIECE):
            piece = torch.from_numpy(buffer[first : first + _PIECE])
            self.together(partial(dist.broadcast, piece, 0))
        return buffer.tobytes()

    def together(self, communicate: Callable[[], object]) -> None:
        """Communicates with the other ranks.

        Raises:
            RanksError: if one has ended.
        """
        try:
            communicate()
        except RuntimeError as error:
            raise RanksError(
                f"All {self.n} ranks must live until training is done, but one ended, or cannot be "
                "reached any more."
            ) from error


ALONE = Ranks()
"""One process, which trains by itself."""

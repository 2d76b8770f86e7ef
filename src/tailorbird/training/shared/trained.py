"""Trained networks of a space, all of which share their weights."""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tailorbird.errors import ContractError, InfeasibleError, MissingStepError
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.training.compute import CPU, Compute
from tailorbird.training.data.images import LabelledImages, on_device
from tailorbird.training.data.loading import batches_on_device
from tailorbird.training.score import Score, accuracy, as_score
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.prefixes import Prefixes, Route

_MOST_CALIBRATED = 1_000
_BATCH = 250  # more images do not stay in caches: it took a tenth longer
_LARGEST_BATCH = 2**23  # values in a batch of images: activations have to fit into memory
_EVALUATED = 2**21  # values in a batch of images on a CPU: of large ones, a tenth faster


class Trained:
    """Gives any network of a space with its trained weights, which stay as they are.

    Args:
        space: what can be built.
        network: all weights, trained; whoever changes its weights makes another `Trained`.
        train: images on which batch norms are calibrated, at most a thousand of them.
        score: what `evaluate` gives.
        compute: device that the weights are on, and precision; networks that are taken out of
            these are on the CPU.
    """

    def __init__(
        self,
        space: SharedSpace,
        network: SharedNetwork,
        train: LabelledImages,
        score: Score = accuracy,
        compute: Compute = CPU,
    ) -> None:
        self.space = space
        self.network = network.eval().to(compute.torch_device)
        self._train = train
        self._score = score
        self._compute = compute
        self._calibrating: list[Tensor] | None = None
        self._ready: dict[tuple[int, ...], nn.Sequential] = {}
        self._accuracy: dict[tuple[int, ...], float] = {}
        self._split: LabelledImages | None = None
        self._current: nn.Sequential | None = None

    def __repr__(self) -> str:
        return f"Trained({self.space!r}, {len(self._accuracy):,} evaluated)"

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any weight."""
        digest = hashlib.sha256()
        for name, tensor in self.network.state_dict().items():
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        return digest.hexdigest()[:12]

    def prepare(self, X: IntArray) -> None:
        """Makes canonical rows (n, d) ready to be switched to, so that switching is instant.

        Batch norms are calibrated for each route; without them there is little to do.
        """
        rows = {key: self.space.route(np.array(key)) for key in _keys(X) if key not in self._ready}
        prefixes = self._prefixes([*rows.values()])
        for key, route in rows.items():
            self._ready[key] = nn.Sequential(*prefixes.modules_of(route)).eval()

    def set_route(self, row: IntArray) -> nn.Sequential:
        """Switches to the network of one canonical row; no weight is moved for that.

        Returns:
            The network, prepared at its first use. It has the weights that it shares with others,
            but for parts of larger tensors, which were copied when it was prepared.
        """
        key = tuple(row.tolist())
        network = self._ready.get(key)
        if network is None:
            self.prepare(row[None])
            network = self._ready[key]
        self._current = network
        return network

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (n, classes) of the network that was switched to, for inputs (n, …).

        Raises:
            MissingStepError: if none was.
        """
        if self._current is None:
            raise MissingStepError("No route is set. Choose one with `set_route` or `for_budget`.")
        outputs: Tensor = self._current(x)
        return outputs

    def for_budget(self, latencies: Mapping[tuple[int, ...], float], max_ms: float) -> IntArray:
        """Switches to the most accurate route that is fast enough, and returns its row.

        Args:
            latencies: milliseconds by canonical row, as a tuple; each was evaluated before, on the
                split that was evaluated last.
            max_ms: the most that the network may take.

        Raises:
            InfeasibleError: if none is fast enough.
            MissingStepError: if the accuracy of one that is fast enough is not known.
        """
        fast = [tuple(map(int, row)) for row, ms in latencies.items() if ms <= max_ms]
        if not latencies:
            raise InfeasibleError("No latencies were given, so there is no route to choose.")
        if not fast:
            least = min(latencies.values())
            raise InfeasibleError(
                f"latency <= {max_ms:g} ms must hold, but the fastest of {len(latencies)} routes "
                f"takes {least:.4g} ms. Relax the limit."
            )
        unknown = [row for row in fast if row not in self._accuracy]
        if unknown:
            raise MissingStepError(
                f"The accuracies of {len(unknown)} of {len(fast)} routes are not known (first: "
                f"{self.space.describe(np.array(unknown[0]))}). Pass them through `evaluate` first."
            )
        best = np.array(max(fast, key=lambda row: (self._accuracy[row], -latencies[row])))
        self.set_route(best)
        return best

    def extract(self, row: IntArray) -> nn.Sequential:
        """The network of one canonical row: plain, in evaluation mode, with weights of its own.

        It is on the CPU.
        """
        route = self.space.route(row)
        modules = self._prefixes([route]).modules_of(route)
        return nn.Sequential(*copy.deepcopy(modules)).eval().cpu()

    def evaluate(self, X: IntArray, split: LabelledImages) -> NDArray[np.float64]:
        """Scores the network of each canonical row (n, d) on a split; returns (n,), see `score`.

        Networks are run together, and what their routes have in common is run once.

        Raises:
            ContractError: if an output is not finite, or a user's score not between 0 and 1.
        """
        if not len(X):
            return np.empty(0)
        rows = list(dict.fromkeys(_keys(X)))
        by_route = {self.space.route(np.array(row)): row for row in rows}
        prefixes = self._prefixes([*by_route])
        outputs: dict[tuple[int, ...], list[NDArray[Any]]] = {row: [] for row in rows}
        for x in self._batches(split):
            for route, y in self._outputs(prefixes, x):
                if not y.isfinite().all():
                    raise ContractError(
                        "Outputs of networks must be finite, but some of "
                        f"{self.space.describe(np.array(by_route[route]))} are not. Look for NaN "
                        "among the images and the weights."
                    )
                # Of a thousand classes, all outputs of some routes would not fit into memory.
                answers = y.argmax(dim=1) if self._score is accuracy else y
                outputs[by_route[route]].append(answers.cpu().numpy())
        scores = {r: self._scored(np.concatenate(y), split.labels) for r, y in outputs.items()}
        if split is not self._split:
            self._split, self._accuracy = split, {}
        self._accuracy |= scores
        return np.array([scores[row] for row in _keys(X)])

    def outputs(self, row: IntArray, split: LabelledImages) -> NDArray[np.float32]:
        """Outputs (n, …) of the network of one canonical row for all images of a split."""
        prefixes = self._prefixes([self.space.route(row)])
        outputs = (y for x in self._batches(split) for _, y in self._outputs(prefixes, x))
        return np.concatenate([y.cpu().numpy() for y in outputs])

    def _scored(self, outputs: NDArray[Any], labels: NDArray[np.int64]) -> float:
        if self._score is accuracy:
            return float((outputs == labels).mean())
        return as_score(self._score(outputs, labels))

    def _prefixes(self, routes: Sequence[Route]) -> Prefixes:
        """The tree of some routes, with norms of its own."""
        with self._compute.autocast():
            return Prefixes(self.network, routes, self._calibration())

    def _outputs(self, prefixes: Prefixes, x: Tensor) -> Iterator[tuple[Route, Tensor]]:
        """Each route with its outputs, float32."""
        for route, y in self._compute.made(partial(prefixes.outputs, x)):
            yield route, y.float()

    def _batches(self, split: LabelledImages) -> Iterator[Tensor]:
        """Yields all images of a split in order, in batches that fit into memory."""
        on_cpu = self._compute.torch_device.type == "cpu"
        # Fewer than for calibration, which many images tell more: they stay in caches.
        n, most = len(split.labels), _most_images(split, _EVALUATED) if on_cpu else _BATCH
        chunks = [np.arange(first, min(first + most, n)) for first in range(0, n, most)]
        return batches_on_device(split, chunks, self._compute)

    def _calibration(self) -> Iterator[Tensor]:
        """Yields training images, the same every time, in batches that fit into memory.

        Pictures are decoded once, not again for every network.
        """
        batches: Iterable[Tensor] = map(self._train.batch, self._calibration_chunks())
        if not self._train.is_in_memory:
            self._calibrating = batches = self._calibrating or [*batches]
        for images in batches:
            yield on_device(self._train, images, self._compute.torch_device)

    def _calibration_chunks(self) -> list[IntArray]:
        """Numbers of the images, a batch each."""
        order = np.random.default_rng(0).permutation(len(self._train.labels))
        index = np.sort(order[:_MOST_CALIBRATED])
        n_batches = -(-len(index) // _most_images(self._train, _LARGEST_BATCH))
        # From one image alone, a norm behind global pooling cannot learn.
        return np.array_split(index, max(1, min(n_batches, len(index) // 2)))


def _keys(X: IntArray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in X.tolist()]


def _most_images(split: LabelledImages, n_values: int) -> int:
    return max(1, min(_BATCH, n_values // int(np.prod(split.shape))))

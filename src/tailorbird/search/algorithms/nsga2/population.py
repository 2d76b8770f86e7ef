"""A pymoo population that keeps arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymoo.core.evaluator import Evaluator
from pymoo.core.individual import Individual
from pymoo.core.problem import Problem

Index = int | np.integer[Any] | slice | list[int] | NDArray[Any]


class Rows:
    """Population that answers callbacks, terminations and displays of pymoo's from arrays.

    pymoo's own holds an object per individual, and spends nearly all of a search on them. Here
    one is made where one is asked for, and is a copy: to change a population, `set` its values.
    What wants objects, such as the start of another algorithm, takes `Population(list(rows))`.

    Args:
        columns: values by name, of n rows each: `X`, later `F`, `G`, and any more.
    """

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        self._columns = columns

    @classmethod
    def new(cls, *interleaved: Any, **columns: ArrayLike) -> "Rows":
        """Makes a population of `"X", X` or `X=X`, as in pymoo."""
        return cls({k: np.asarray(v) for k, v in _paired(interleaved, columns).items()})

    @classmethod
    def merge(cls, a: "Rows", b: "Rows") -> "Rows":
        """Population of both, one behind the other, with the values that both have."""
        names = [name for name in a._columns if name in b._columns]
        return cls({n: np.concatenate([a._columns[n], b._columns[n]]) for n in names})

    def __len__(self) -> int:
        return len(self._columns["X"])

    def __getitem__(self, index: Index) -> Any:
        if isinstance(index, int | np.integer):
            return self._individual(int(index))
        return Rows({name: values[index] for name, values in self._columns.items()})

    def __iter__(self) -> Iterator[Individual]:
        return map(self._individual, range(len(self)))

    def has(self, name: str) -> bool:
        """True if values of that name are known."""
        return name in self._columns

    def set(self, *interleaved: Any, **columns: ArrayLike) -> "Rows":
        """Changes values: an array of n, or one value for all.

        Raises:
            ValueError: if there are more or fewer than n values.
        """
        for name, values in _paired(interleaved, columns).items():
            array = np.asarray(values)
            if array.ndim and len(array) != len(self):
                raise ValueError(
                    f"A population of {len(self)} must be set to one value or as many, but got "
                    f"{len(array)} for {name!r}."
                )
            self._columns[name] = array if array.ndim else np.full(len(self), array)
            if name in ("G", "H"):
                self._columns.pop("CV", None)
        return self

    def get(self, *names: str, to_numpy: bool = True) -> Any:
        """Arrays of that name, a tuple if there are several; lists unless `to_numpy`."""
        columns = [self._column(name) for name in names]
        answers = columns if to_numpy else [list(values) for values in columns]
        return answers[0] if len(answers) == 1 else tuple(answers)

    def _column(self, name: str) -> NDArray[Any]:
        if name in self._columns:
            return self._columns[name]
        match name:
            case "CV":
                G = self._column("G")
                self._columns["CV"] = np.maximum(G, 0.0).sum(axis=1, keepdims=True)
                return self._columns["CV"]
            case "FEAS":
                return np.asarray(self._column("CV") <= 0.0)
            case "feas" | "cv" | "f":
                return np.asarray(self._column(name.upper())[:, 0])
            case "x":
                return self._column("X")
            case "F" | "G" | "H":
                return np.empty((len(self), 0))
        return np.full(len(self), None)  # as pymoo answers what it does not know

    def _individual(self, i: int) -> Individual:
        one = Individual(**{name: values[i] for name, values in self._columns.items()})
        one.evaluated = {name for name in ("F", "G", "H") if "F" in self._columns}
        return one


class RowEvaluator(Evaluator):  # type: ignore[misc]  # pymoo is untyped
    """Evaluates all rows of a population at once."""

    def eval(self, problem: Problem, pop: Rows, *, algorithm: Any = None) -> Rows:
        """The same population, with its objectives and violations."""
        names = self.evaluate_values_of
        out = problem.evaluate(
            pop.get("X"), return_values_of=names, return_as_dictionary=True, algorithm=algorithm
        )
        pop.set(**out)
        self.n_eval += len(pop)
        if self.callback:
            self.callback(pop)
        return pop


def _paired(interleaved: tuple[Any, ...], columns: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(interleaved[::2], interleaved[1::2], strict=True)) | columns

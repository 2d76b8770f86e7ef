"""Errors of the package, with their facts as attributes, and the parts of their sentences."""

import errno
import os
import re
import reprlib
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_LONGEST = 500  # characters quoted from a message that others wrote
_SHORT = 200  # characters of a value
_LONGEST_SENTENCE = 2_000
_MANY = 40  # names that a hint lists
_MOST_DIGITS = 17  # decimal digits tell any two doubles apart
_COMMAND = re.compile(r"(`tailorbird(?: [a-z-]+)+ )RECIPE(?=[ `])")


class TailorbirdError(Exception):
    """Root of the errors whose message alone tells a user what to do.

    Attributes:
        recipe: path of the recipe at work, which the commands in the message name; None where
            there is none, or it is not known.
    """

    recipe: Path | None = None

    def __str__(self) -> str:
        return naming(self._sentence(), self.recipe)

    def _sentence(self) -> str:
        """Message as it was raised, in which RECIPE stands for the path."""
        return super().__str__()


class RecipeError(TailorbirdError, ValueError):
    """A recipe that cannot be read, or that asks for what does not exist."""


class ContractError(RecipeError):
    """Code or data that a recipe names, and that do not keep what their callers rely on."""


class EncodingError(TailorbirdError, ValueError):
    """A file of networks that does not fit its space."""


class MissingPackageError(TailorbirdError, ImportError):
    """A package that is not installed, and how to install it.

    `require` and `naming_extras` raise it for packages of extras.
    """


class Extra(NamedTuple):
    """What a package that tailorbird does without at first is for, and what installs it.

    Attributes:
        purpose: subject of a sentence.
        extra: of tailorbird, that installs it with all that the purpose needs.
        package: name to install it by; empty if it is imported by the same.
    """

    purpose: str
    extra: str
    package: str = ""


_TVM = Extra("Compiling and timing networks by Apache TVM", "tvm", "apache-tvm")
_PICTURES = "Reading pictures as timm does"
_ONNX = "Writing ONNX files"
EXTRAS: Mapping[str, Extra] = {
    "torch": Extra("Building, counting, training and exporting networks", "training"),
    "tvm": _TVM,
    "apache-tvm": _TVM,
    "tvm_ffi": _TVM._replace(package="apache-tvm-ffi"),
    "timm": Extra(_PICTURES, "images"),
    "torchvision": Extra(_PICTURES, "images"),
    "onnx": Extra(_ONNX, "onnxruntime"),
    "onnxscript": Extra(_ONNX, "onnxruntime"),
    "onnxruntime": Extra("The runtime 'onnxruntime'", "onnxruntime"),
    "openvino": Extra("The runtime 'openvino'", "openvino"),
    "psycopg": Extra("Keeping measurements in PostgreSQL", "postgresql"),
    "ray": Extra("Evaluating networks on a cluster of Ray", "ray"),
}
"""Packages of extras, by the names that they are imported by."""


def missing_package(name: str, purpose: str = "", extra: str = "") -> MissingPackageError:
    """Returns the error of a package of an extra that is not installed.

    Args:
        name: that it is imported by.
        purpose: what needs it here; what it is for in general if empty.
        extra: that installs all which the purpose needs; the package's own if empty.
    """
    known = EXTRAS[name]
    return MissingPackageError(
        f"{purpose or known.purpose} needs the package {known.package or name!r}, which is not "
        f"installed: install it with `pip install 'tailorbird[{extra or known.extra}]'`."
    )


def require(*names: str, purpose: str = "", extra: str = "") -> None:
    """Refuses to go on without packages of extras; none is loaded for the question.

    Args:
        names: that they are imported by.
        purpose: what needs them here; what the first that lacks is for in general if empty.
        extra: that installs all of them; the package's own if empty.

    Raises:
        MissingPackageError: naming the first that is not installed.
    """
    for name in names:
        if sys.modules.get(name) is None and find_spec(name) is None:
            raise missing_package(name, purpose, extra)


@contextmanager
def naming_extras() -> Iterator[None]:
    """Lets an import inside that fails for want of a package of an extra name that extra.

    Raises:
        MissingPackageError: in the place of Python's own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        named = with_extra(error)
        if named is error:
            raise
        raise named from error


def with_extra(error: BaseException) -> BaseException:
    """The error itself, or in the place of Python's for a package of an extra one that names it."""
    top = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return missing_package(top) if top in EXTRAS else error


class TooManySamplesError(TailorbirdError, ValueError):
    """More samples than a predictor can learn from in memory."""


class NotFittedError(TailorbirdError, ValueError):
    """A predictor was asked before it had learned anything."""


class MissingStepError(TailorbirdError, RuntimeError):
    """A step cannot be taken before another one that it needs."""


class WeightsError(TailorbirdError, ValueError):
    """Weights that cannot be read, or that do not fit the network that they are for."""


class ExportError(TailorbirdError, RuntimeError):
    """A network that cannot be written in a format, or that computes something else there.

    Attributes:
        form: the format; empty if it is any.
    """

    def __init__(self, reason: str, form: str = "") -> None:
        super().__init__(reason)
        self.form = form


class WeightsKeyError(WeightsError):
    """A file of weights of which a key would choose those that fit.

    Attributes:
        path: of the file.
        key: under which weights lie that may be meant.
    """

    def __init__(self, reason: str, path: Path, key: str) -> None:
        super().__init__(reason)
        self.path = path
        self.key = key


class TrainingError(TailorbirdError, RuntimeError):
    """Training that cannot go on; what it had reached is kept."""


class RanksError(TrainingError):
    """Processes that train together, of which one has ended, or does something else."""


class BusyError(TailorbirdError, RuntimeError):
    """A folder or file is held by another process."""


class LockError(TailorbirdError, RuntimeError):
    """A file by which processes wait for one another is not what it must be."""


class InfeasibleError(TailorbirdError, ValueError):
    """No architecture of the space meets the constraints."""


class EvaluationError(TailorbirdError, RuntimeError):
    """No network could be evaluated; each trial of the study holds its reason."""


class MeasurementError(TailorbirdError, RuntimeError):
    """A device or its runtime failed; nothing is wrong with the user's input."""

    @classmethod
    def of(cls, what: str, error: BaseException) -> "MeasurementError":
        """Returns the error for what a compiler or runtime raised, whose last line says the most.

        A linker's message ends with its command, which says nothing, and has a full disk before.
        """
        lines = [line.strip() for line in _said(error).splitlines()]
        telling = [line for line in lines if line and not line.startswith("Command line:")]
        full = [line for line in telling if os.strerror(errno.ENOSPC) in line]
        last = (full or telling or [""])[-1]
        return cls(f"{what} ({type(error).__name__}: {last})")


class UnansweredError(MeasurementError):
    """A process or device died, was lost or took too long: its program may be to blame, or not."""


class LostDeviceError(MeasurementError):
    """A device behind a server is gone; a program may be to blame, or not.

    Attributes:
        wait: returns when it is there again, and raises `FaultyMachineError` if it does not come.
    """

    def __init__(self, reason: str, wait: Callable[[], None]) -> None:
        super().__init__(reason)
        self.wait = wait


class FaultyMachineError(MeasurementError):
    """A machine cannot even measure the reference workload, so no program is to blame."""


class DeviceError(TailorbirdError, ValueError):
    """A device, or a table of one, that is not there, or not as it is asked for."""


class PriceError(TailorbirdError, ValueError):
    """A latency, or another prediction, that cannot be: not finite, or not positive."""


class StoreError(TailorbirdError, RuntimeError):
    """The database behind a store failed: the disk is full, the file locked, or read-only."""


class DamagedStoreError(StoreError):
    """A store that holds what nobody wrote into it: no command can go on with it."""


class ReadOnlyStoreError(StoreError):
    """A store that this user may read, but not write."""


class UnfitStoreError(StoreError):
    """A store that cannot be opened, or contradicts what is to be added; it is left as it was."""


class WriteError(TailorbirdError, RuntimeError):
    """A file that cannot be written where it should be; what stood there is as it was.

    Attributes:
        path: of the file.
        reason: what the system said.
    """

    way_out = "Name a place where you may write."

    def __init__(self, path: Path, reason: OSError) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def _sentence(self) -> str:
        said = self.reason.strerror or str(self.reason)
        return f"The file {str(self.path)!r} cannot be written: {said}. {self.way_out}"


class FullDiskError(WriteError):
    """A file that the disk did not take, since it is full, over its quota or broken."""

    way_out = "Make room, then run again: what was kept before is kept."


class FetchError(TailorbirdError, RuntimeError):
    """Published data could not be fetched or kept; what was fetched before stays."""


class PublishedTableError(RecipeError):
    """A published table that is not among the data, or cannot be read there.

    Attributes:
        path: of the file.
        name: by which it is fetched.
    """

    def __init__(self, path: Path, name: str, reason: str, way_out: str) -> None:
        super().__init__(path, name, reason, way_out)
        self.path = path
        self.name = name
        self._message = (
            f"The published table {str(path)!r} cannot be read ({reason.rstrip('.')}). {way_out}"
        )

    @classmethod
    def missing(cls, path: Path, name: str) -> "PublishedTableError":
        """Returns the error of a file that is not there."""
        return cls(
            path,
            name,
            "there is no such file" if path.parent.is_dir() else "there is no such folder",
            f"Fetch it with `tailorbird data get {name}`, or name the folder that holds it in the "
            "environment variable TAILORBIRD_DATA.",
        )

    @classmethod
    def of(cls, path: Path, name: str, error: Exception) -> "PublishedTableError":
        """Returns the error for what reading a file raised."""
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return cls.missing(path, name)
        if isinstance(error, OSError) and error.errno is not None and error.strerror:
            way_out = f"Move it away, and fetch it anew with `tailorbird data get {name}`."
            if isinstance(error, PermissionError):
                way_out = (
                    "Let this user read it, or name the folder of another copy in the environment "
                    "variable TAILORBIRD_DATA."
                )
            return cls(path, name, error.strerror, way_out)
        return cls.torn(path, name, (str(error).splitlines() or [type(error).__name__])[0])

    @classmethod
    def torn(cls, path: Path, name: str, reason: str) -> "PublishedTableError":
        """Returns the error of a file that is not as it was written."""
        way_out = f"Delete it, and fetch it anew with `tailorbird data get {name}`."
        return cls(path, name, reason, way_out)

    def _sentence(self) -> str:
        return self._message


class MissingWorkloadError(TailorbirdError, KeyError):
    """Workloads that a table does not hold; they are never counted as zero."""

    def __init__(self, missing: Sequence[str], n_needed: int, device: str) -> None:
        super().__init__(missing, n_needed, device)
        self.missing = tuple(missing)
        self.n_needed = n_needed
        self.device = device

    def _sentence(self) -> str:
        return (
            f"{len(self.missing)} of {self.n_needed} workloads are not in the table of "
            f"{self.device!r} (first: {self.missing[0]}). "
            "Measure them with `tailorbird profile RECIPE`."
        )


class UnknownWorkloadsError(TailorbirdError, ValueError):
    """What adds up workloads was asked for in a space that leaves its workloads open."""


class TooFewNeighboursError(TailorbirdError, ValueError):
    """Workloads of an op of which too few others were measured to predict them."""

    def __init__(self, missing: Sequence[str], op: str, n_measured: int, n_needed: int) -> None:
        super().__init__(missing, op, n_measured, n_needed)
        self.missing = tuple(missing)
        self.op = op
        self.n_measured = n_measured
        self.n_needed = n_needed

    def _sentence(self) -> str:
        return (
            f"At least {self.n_needed} workloads of an op must be measured to predict others of "
            f"it, but of {self.op!r} only {self.n_measured} are, and {len(self.missing)} are "
            f"missing (first: {self.missing[0]}). Fill them in with `tailorbird profile RECIPE` or "
            "`tailorbird table import RECIPE FILE`, or name a table that has them."
        )


class ScoreError(TailorbirdError, ValueError):
    """A network whose zero-cost score is not finite; it is never left out in silence."""

    def __init__(self, score: str, value: float, network: str) -> None:
        super().__init__(score, value, network)
        self.score = score
        self.value = value
        self.network = network

    def _sentence(self) -> str:
        return (
            f"Scores must be finite, but {self.score} is {self.value} for the untrained network "
            f"{self.network}. Leave out this score or this network, and look for images that are "
            "equal or not finite."
        )


@contextmanager
def told_of(recipe: Path | None) -> Iterator[None]:
    """Lets the errors raised inside name the path of a recipe, unless they name one already."""
    try:
        yield
    except TailorbirdError as error:
        error.recipe = error.recipe or recipe
        raise


@contextmanager
def raising(
    made_of: Callable[[BaseException], Exception], *passing: type[Exception]
) -> Iterator[None]:
    """Turns whatever others' code raises inside, `sys.exit()` included, into one error.

    Args:
        made_of: makes the error to raise instead, from that which was raised.
        passing: what is left as it is, besides Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, passing):
            raise
        raise made_of(error) from error


def in_a_line(error: BaseException) -> str:
    """Returns type and last line of any error, such as a user's code raises."""
    lines = [line.strip() for line in _said(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:_LONGEST]}" if lines else type(error).__name__


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as again:  # noqa: BLE001  # a user's __str__ runs here
        return f"its message cannot be had, for {type(again).__name__}"


def naming(text: str, recipe: Path | None) -> str:
    """Puts the path of a recipe, as a shell takes it, for RECIPE in the commands of a text."""
    if recipe is None:
        return text
    path = shlex.quote(str(recipe))
    return _COMMAND.sub(lambda command: command[1] + path, text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns the hint that ends a message about an unknown name: the nearest, or all."""
    names = sorted(known)
    close = get_close_matches(name[:_SHORT], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {shown(close[0])}?"
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return f"known: {', '.join(map(plain, names[:_MANY]))}{more}."


def shortened(sentence: str) -> str:
    """Cuts the middle out of a sentence that is too long for a terminal."""
    if len(sentence) <= _LONGEST_SENTENCE:
        return sentence
    return f"{sentence[: _LONGEST_SENTENCE - 500]} [...] {sentence[-500:]}"


def plain(text: str) -> str:
    """Returns a short, printable text as it is, and any other as `shown` does."""
    return text if text.isprintable() and len(text) <= _SHORT else shown(text)


def exactly(value: float) -> str:
    """Writes the shortest text that is this very number: `8` or `0.30000000000000004`."""
    return repr(float(value)).removesuffix(".0")


def apart(value: float, limit: float, digits: int = 4) -> str:
    """Writes a value with as many digits as show on which side of a limit it is, or more."""
    for n_digits in range(digits, _MOST_DIGITS):
        text = f"{value:.{n_digits}g}"
        if (float(text) > limit, float(text) < limit) == (value > limit, value < limit):
            return text
    return repr(float(value))


def shown(value: object) -> str:
    """Writes a value as Python does, cut if it is long or deep, and with no control character."""
    return _SHORTENED.repr(value)


class _Shortened(reprlib.Repr):
    """Shortener of values: texts of up to 200 characters stay whole, of others both ends do."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _SHORT

    def repr_int(self, value: int, level: int) -> str:
        """Writes an integer, or its size: Python refuses to write thousands of digits."""
        if value.bit_length() > 10 * _SHORT:
            return f"an integer of {value.bit_length()} bits"
        return super().repr_int(value, level)


_SHORTENED = _Shortened()

"""What each setting of a recipe may be, written from README.md and the examples.

The package's models are judged by it, so they are not asked.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Law = Callable[[Any], bool]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _whole(least: int, most: float = math.inf) -> Law:
    return lambda value: type(value) is int and least <= value <= most


def _number(least: float, most: float = math.inf, *, open_: bool = False) -> Law:
    def holds(value: Any) -> bool:
        is_number = type(value) in (int, float) and math.isfinite(value)
        return is_number and (least < value if open_ else least <= value) and value <= most

    return holds


def _one_of(*known: str) -> Law:
    return lambda value: isinstance(value, str) and value in known


def _some_of(*known: str) -> Law:
    def holds(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(v, str) and v in known for v in value)

    return holds


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not _CONTROL.search(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value)) and len(set(value)) == len(value)


def _matches(pattern: str) -> Law:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _file(value: Any) -> bool:
    """A path, or a path and a key."""
    if not isinstance(value, dict):
        return _text(value)
    return all(map(_text, value.values())) and {"file"} <= value.keys() <= {"file", "key"}


def _files(value: Any) -> bool:
    """A file of each anchor."""
    return isinstance(value, dict) and all(map(_file, value.values()))


def _table(value: Any) -> bool:
    return isinstance(value, dict)


def _flag(value: Any) -> bool:
    return type(value) is bool


_PATH = _matches(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _or_path(law: Law) -> Law:
    return lambda value: law(value) or _PATH(value)


def _each(law: Law) -> Law:
    return lambda value: isinstance(value, list) and all(map(law, value))


def _data(value: Any) -> bool:
    """A name of ours, or the path of a folder or a name of timm's, which have slashes."""
    has_slash = _text(value) and ("/" in value or "\\" in value)
    return has_slash or _one_of("digits", "cifar10-jpeg")(value)


def _n_of(law: Law, n: int) -> Law:
    return lambda value: _each(law)(value) and len(value) == n


def _command(value: Any) -> bool:
    """Braces hold the program's file, and folders of inputs and outputs or neither."""
    places = set(re.findall(r"\{(.*?)\}", value)) if isinstance(value, str) else set()
    return places in ({"onnx"}, {"onnx", "inputs", "outputs"}) and _text(value)


_GPUS = ("cuda", "rocm", "vulkan", "opencl", "metal", "nvptx")
_LIMIT = _number(0, open_=True)
_OBJECTIVES = ("accuracy", "latency_ms", "mega_macs", "mega_params", "weight_mib", "peak_mib")

LAWS: dict[str, Law] = {
    "name": _matches(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
    "seed": _whole(0, 2**32 - 1),
    "space.name": _text,
    "space.module": _PATH,
    "space.programs": _PATH,
    "space.kernel": _whole(1),
    "space.stride": _whole(1),
    "space.max_stitches": _whole(0),
    "space.below_larger_anchor": lambda value: isinstance(value, bool),
    "space.choose": _one_of("klas"),
    "space.pairs": _one_of("neighbours", "all"),
    "space.stitches": _one_of("windows", "two-way"),
    "space.n_classes": _whole(1),
    "device.name": _text,
    "device.threads": _whole(1),
    "device.target": lambda value: _text(value) and not value.startswith(_GPUS),
    "device.endpoint": _text,
    "device.tracker": _text,
    "device.key": _matches(r"[^\s:]+"),
    "device.batch": _whole(1, 4096),
    "latency.runtime": _or_path(
        _one_of("tvm", "onnxruntime", "openvino", "torch", "command", "imported")
    ),
    "latency.command": _command,
    "latency.command_timeout_seconds": _number(0, open_=True),
    "latency.predictor": _or_path(_one_of("table-sum", "calibrated-sum", "inferred-sum")),
    "latency.schedule": _matches(r"static|default|eager|command|imported|tuned:[1-9]\d{0,4}"),
    "latency.tuning": _text,
    "latency.tuning_minutes": _number(0),
    "latency.rounds": _whole(2),
    "latency.store": _text,
    "latency.estimate_missing": _flag,
    "latency.adapt_from": _texts,
    "latency.samples": _whole(3),
    "accuracy.data": _data,
    "accuracy.data_root": _text,
    "accuracy.download": _flag,
    "accuracy.split_seed": _whole(0, 2**32 - 1),
    "accuracy.skip_unreadable": _flag,
    "accuracy.preprocessing.size": lambda value: _whole(1)(value) or _n_of(_whole(1), 2)(value),
    "accuracy.preprocessing.crop": _number(0, 1, open_=True),
    "accuracy.preprocessing.interpolation": _one_of("bicubic", "bilinear", "nearest", "lanczos"),
    "accuracy.preprocessing.mean": _each(_number(-math.inf)),
    "accuracy.preprocessing.std": _each(_number(0, open_=True)),
    "accuracy.preprocessing.channels": _one_of("rgb", "bgr", "grey"),
    "accuracy.preprocessing.value_range": _n_of(_number(-math.inf), 2),
    "accuracy.augmentation.scale": _n_of(_number(0, 1, open_=True), 2),
    "accuracy.augmentation.flip": _number(0, 1),
    "accuracy.augmentation.color_jitter": _number(0, 1),
    "accuracy.augmentation.auto_augment": _text,
    "accuracy.device": _matches(r"auto|cpu|mps|cuda(:\d{1,3})?"),
    "accuracy.precision": _one_of("f32", "bf16", "f16"),
    "accuracy.loader_workers": _whole(0),
    "accuracy.batch_norms": _one_of("global", "local"),
    "accuracy.rank_routes": _one_of("same", "own"),
    "accuracy.cluster": _matches(r"auto|[A-Za-z0-9.\-]+:\d{1,5}"),
    "accuracy.worker_gpus": _number(0),
    "accuracy.module": _PATH,
    "accuracy.published": _text,
    "accuracy.function": _PATH,
    "accuracy.batch_function": _PATH,
    "accuracy.table": _text,
    "accuracy.n_images": _whole(1),
    "accuracy.evaluator": _PATH,
    "accuracy.anchors": lambda value: value == "installed" or _files(value),
    "accuracy.train_epochs": _whole(0),
    "accuracy.stitch_epochs": _whole(0),
    "accuracy.trained": _file,
    "accuracy.supernet_epochs": _whole(1),
    "accuracy.largest": _file,
    "accuracy.importance": _one_of("l1", "taylor", "none"),
    "accuracy.finetune_epochs": _whole(1),
    "accuracy.finetune_rate": _number(0, 1, open_=True),
    "accuracy.rule": _or_path(
        _one_of(
            *("single-path", "sandwich", "best-up", "worst-up", "alpha-divergence", "sorted"),
            *("delayed-shrinking", "probability-shift", "strict-fairness"),
        )
    ),
    "accuracy.batch": _whole(1),
    "accuracy.learning_rates.embedding": _number(0),
    "accuracy.learning_rates.block": _number(0),
    "accuracy.learning_rates.stitch": _number(0),
    "accuracy.learning_rates.head": _number(0),
    "accuracy.shared_learning_rates.embedding": _number(0),
    "accuracy.shared_learning_rates.block": _number(0),
    "accuracy.shared_learning_rates.stitch": _number(0),
    "accuracy.shared_learning_rates.head": _number(0),
    "accuracy.optimizer": _one_of("adamw", "sgd"),
    "accuracy.weight_decay": _number(0),
    "accuracy.decay_norms": _flag,
    "accuracy.clip": _number(0),
    "accuracy.schedule": _one_of("one-cycle", "cosine"),
    "accuracy.warm_up_epochs": _whole(0),
    "accuracy.label_smoothing": _number(0, math.nextafter(1, 0)),
    "accuracy.accumulation": _whole(1),
    "accuracy.weight_averaging": _number(0, math.nextafter(1, 0)),
    "accuracy.mixup": _number(0),
    "accuracy.cutmix": _number(0),
    "accuracy.drop_path": _number(0, math.nextafter(1, 0)),
    "accuracy.routes_per_step": _whole(1),
    "accuracy.anchors_from": _one_of("labels", "largest"),
    "accuracy.share_of_anchors": _number(0, math.nextafter(1, 0)),
    "accuracy.routes": _one_of("stitches", "uniform", "log-macs", "resources"),
    "accuracy.distillation": _one_of("soft", "hard", "none"),
    "accuracy.teacher": _PATH,
    "accuracy.stitch_images": _whole(0),
    "accuracy.stitch_rank": _whole(1),
    "accuracy.evaluations": _whole(10),
    "accuracy.earlier": _text,
    "accuracy.workers": _whole(1),
    "accuracy.evaluation_timeout_seconds": _number(0, open_=True),
    "accuracy.predictor": _or_path(
        _one_of(
            *("auto", "process", "process-totals", "process-places", "ridge", "forest"),
            *("boosting", "perceptrons", "additive"),
        )
    ),
    "accuracy.predictor_seconds": _number(0),
    "accuracy.zero_cost": _each(
        _or_path(_one_of("gradsign", "gradient_norm", "synflow", "naswot", "macs", "parameters"))
    ),
    "search.algorithm": _or_path(
        _one_of(*("nsga2", "guided", "exact", "best", "random", "evolution", "optuna"))
    ),
    "search.objectives": lambda value: _some_of(*_OBJECTIVES)(value) and _texts(value) and value,
    "search.devices": _texts,
    "search.population": _whole(4),
    "search.generations": _whole(1),
    "search.sampler": _text,
    "search.batch": _whole(1),
    "search.min_accuracy": _number(0, 1, open_=True),
    **{f"search.max_{name}": _LIMIT for name in _OBJECTIVES[1:]},
    "report.networks": _whole(1),
    "report.random_networks": _whole(2),
}


def settings(recipe: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a recipe under its dotted name."""
    for name, value in recipe.items():
        path = f"{of}{name}"
        if isinstance(value, dict) and path not in LAWS:
            yield from settings(value, f"{path}.")
        elif path == "space" and isinstance(value, list) and all(map(_table, value)):
            for table in value:
                yield from settings(table, "space.")
        else:
            yield path, value


def violations(recipe: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with settings, each for itself."""
    for name, value in settings(recipe):
        if name not in LAWS:
            yield f"there is no law for {name}"
        elif not LAWS[name](value):
            yield f"{name} is {value!r}"[:300]


def unmet(recipe: Mapping[str, Any], front: list[dict[str, Any]]) -> Iterator[str]:
    """Limits of a recipe that networks of its front do not meet, and values that are no numbers."""
    search = recipe.get("search", {})
    for name in _OBJECTIVES:
        values = [row[name] for row in front if name in row]
        if not all(type(v) in (int, float) and math.isfinite(v) for v in values):
            yield f"{name} is not a number everywhere"
        elif values and name == "accuracy" and min(values) < search.get("min_accuracy", -math.inf):
            yield f"accuracy is {min(values)}, below its limit"
        elif values and name != "accuracy":
            if max(values) > search.get(f"max_{name}", math.inf):
                yield f"{name} is {max(values)}, above its limit"
            elif min(values) <= 0:
                yield f"{name} is {min(values)}"

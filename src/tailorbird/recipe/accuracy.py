"""The table [accuracy]."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.errors import shown
from tailorbird.recipe.images import AugmentationSection, PreprocessingSection
from tailorbird.recipe.section import (
    Count,
    PythonPath,
    Seconds,
    Section,
    matching,
    one_of,
    one_of_or_path,
    one_of_or_pictures,
)
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS, entry_of
from tailorbird.registry.data_sets import is_of_pictures, is_of_timm
from tailorbird.registry.importances import IMPORTANCES
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.registry.zero_cost_scores import ZERO_COST_SCORES

LEARNING_RATE = 2e-2  # right for networks that are trained from scratch

_SOURCES = ("data", "module", "published", "function", "batch_function", "table")
_LEARNED = frozenset({"predictor", "predictor_seconds"})
_EVALUATED = _LEARNED | {
    *("evaluations", "earlier", "workers", "evaluation_timeout_seconds"),
    *("cluster", "worker_gpus"),
}
_TAKEN = {
    "published": _LEARNED,
    "table": _LEARNED | {"n_images"},
    "function": _EVALUATED | {"n_images"},
    "batch_function": _EVALUATED | {"n_images"},
}
"""Further keys of sources of accuracies that train nothing."""

_OPTIMIZATION = frozenset(
    {
        *("optimizer", "weight_decay", "decay_norms", "clip", "schedule", "warm_up_epochs"),
        *("label_smoothing", "accumulation", "weight_averaging", "mixup", "cutmix", "drop_path"),
        "batch_norms",
    }
)
_PICTURES = frozenset(
    {
        *("data_root", "download", "split_seed", "skip_unreadable"),
        *("preprocessing", "augmentation"),
    }
)
_SHARED = frozenset({"routes", "routes_per_step", "shared_learning_rates", "rank_routes"})
_LEARNING = (
    _OPTIMIZATION | _SHARED | frozenset({"batch", "learning_rates", "distillation", "teacher"})
)
STITCHED_KEYS = _LEARNING | {
    *("anchors", "anchors_from", "train_epochs"),
    *("stitch_epochs", "stitch_images", "stitch_rank", "share_of_anchors"),
}
"""Keys on how anchors and stitches are trained."""

TOGETHER_KEYS = frozenset({"routes_per_step", "shared_learning_rates", "share_of_anchors"})
"""Keys on how all routes through anchors and stitches are trained together."""

SUPERNET_KEYS = _LEARNING | {"supernet_epochs", "rule", "largest", "importance"}
"""Keys on how a supernet is trained."""

_SHARDING = ("sharding", "fsdp", "fully_sharded", "deepspeed", "zero_stage")

_DEVICE = matching(
    r"auto|cpu|mps|cuda(:\d{1,3})?",
    "'auto', 'cpu', 'mps', 'cuda', or one of several GPUs, 'cuda:1'",
)

_CLUSTER = matching(
    r"auto|[A-Za-z0-9.\-]{1,253}:\d{1,5}",
    "'auto', for the cluster of Ray that this machine is part of, or its address, 'host:6379'",
)

Rate = Annotated[float, Field(ge=0, le=1000)]
ZeroCostScore = Annotated[str, one_of_or_path(ZERO_COST_SCORES)]


class LearningRates(Section):
    """Peak learning rates for each kind of part; 0 leaves it as it is.

    Attributes:
        embedding: rate of what images enter first.
        block: rate of blocks.
        stitch: rate of stitching layers.
        head: rate of what gives logits.
    """

    embedding: Rate = LEARNING_RATE
    block: Rate = LEARNING_RATE
    stitch: Rate = LEARNING_RATE
    head: Rate = LEARNING_RATE


class SharedLearningRates(Section):
    """Peak learning rates while weights are shared; those of `learning_rates` where left out.

    Attributes:
        embedding: rate of what images enter first.
        block: rate of blocks.
        stitch: rate of stitching layers.
        head: rate of what gives logits.
    """

    embedding: Rate | None = None
    block: Rate | None = None
    stitch: Rate | None = None
    head: Rate | None = None


class WeightsFile(Section):
    """A file of weights that an anchor or the largest network starts with, or that all share.

    Attributes:
        file: its path, from the recipe's folder.
        key: where in it the weights lie; found out if left out.
    """

    file: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)] | None = None


class AccuracySection(Section):
    """How networks are trained, evaluated and their accuracy predicted.

    Attributes:
        data: images with labels: `digits`, `cifar10-jpeg`, a folder with `train/CLASS` and
            `val/CLASS` in it, or a name that timm knows; `digits` if left out.
        data_root: folder of a data set that timm knows.
        download: whether such a data set may be fetched.
        split_seed: seed of the halves of `val` that the search and the report see, where there is
            no `test`.
        skip_unreadable: whether files that are no images are left out; they are refused otherwise.
        preprocessing: how pictures become images.
        augmentation: random changes of pictures that networks learn from.
        module: function of your own, `module:name`, that gives a `Dataset`.
        published: column of accuracies that others published for the space, or `snnet`; nothing
            is trained.
        function: function of your own, `module:name`, from an architecture to its accuracy;
            nothing is trained.
        batch_function: function of your own, `module:name`, from architectures to as many
            accuracies.
        table: path of a table of accuracies; nothing is trained.
        n_images: images behind the accuracies of a function or table, from which follows how sure
            they are.
        evaluator: function of your own, `module:name`, in the place of the fraction of right
            answers.
        trained: weights that all networks share, from a training loop of your own.
        anchors: file of weights of each anchor, by its name, or a table of `file` and `key`;
            `installed` where a package has them.
        anchors_from: what anchors without a file learn from: `labels`, or the `largest` anchor,
            block by block.
        train_epochs: epochs of each anchor alone; 30 without weights, none with them, if left out.
        stitch_epochs: epochs of all stitched routes together.
        supernet_epochs: passes of one network over the training images, for a supernet.
        rule: which networks of a supernet a step trains, and how; or your own `module:name`.
        largest: weights that the largest network of a supernet starts with.
        importance: what sorts the channels of these weights.
        finetune_epochs: epochs of `tailorbird finetune`.
        finetune_rate: learning rates of `tailorbird finetune`, as a fraction of those of training.
        batch: images of a training step.
        device: device that trains and evaluates: `auto`, `cpu`, `mps`, `cuda` or `cuda:1`.
        precision: precision of what layers multiply.
        loader_workers: processes that decode images; as many as processors, up to eight, if left
            out.
        learning_rates: peak learning rates, for each kind of part.
        shared_learning_rates: peak learning rates while weights are shared; `learning_rates` where
            left out.
        optimizer: rule by which gradients change weights.
        weight_decay: fraction of weights that a step takes away, times the learning rate.
        decay_norms: whether scales of norms and biases decay as well.
        clip: largest norm of a step's gradient; 0 for any.
        schedule: how learning rates go over the steps.
        warm_up_epochs: epochs in which learning rates rise; three tenths of one cycle, none of a
            cosine, if left out.
        label_smoothing: share of a label that goes to all classes.
        accumulation: parts in which a step's images pass, where memory is short.
        weight_averaging: factor of moving averages, with which training ends; 0 for none.
        mixup: spread of shares by which images are mixed in pairs, drawn from Beta(mixup, mixup);
            0 for none.
        cutmix: spread of the shares of rectangles that images have of others, drawn likewise; 0
            for none.
        drop_path: chance that the last block is left out for an image; earlier ones less often.
        batch_norms: whether batch norms see the images of all processes of torchrun, or their own.
        rank_routes: whether processes of torchrun train the same networks in a step, or their own.
        routes: how networks of a step are drawn.
        routes_per_step: networks of a step, for rules that draw one; as many times fewer steps.
        share_of_anchors: fraction of anchors among the routes that are drawn; as `routes` says if
            left out.
        distillation: how networks learn from a teacher.
        teacher: network of your own, `module:name`, to learn from; the largest network if left
            out.
        stitch_images: images by which least squares fits stitching layers before training; 0 for
            none.
        stitch_rank: rank of the update of least squares that stitching layers learn; all of it if
            left out.
        evaluations: true evaluations that the search may use.
        earlier: what was evaluated before: a path of a table, or `URL#STUDY` of Optuna.
        workers: processes that evaluate.
        evaluation_timeout_seconds: seconds after which an evaluation is ended, and its network has
            failed.
        cluster: cluster of Ray on which workers run.
        worker_gpus: GPUs, or a fraction of one, that the cluster gives each worker.
        predictor: what predicts accuracy, or your own `module:name`.
        predictor_seconds: seconds that the predictor may spend on its hyperparameters.
        zero_cost: scores of untrained networks that the predictor learns from as well.
    """

    data: Annotated[str, one_of_or_pictures] | None = None
    data_root: Annotated[str, Field(min_length=1)] | None = None
    download: bool = False
    split_seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    skip_unreadable: bool = False
    preprocessing: PreprocessingSection = PreprocessingSection()
    augmentation: AugmentationSection = AugmentationSection()
    module: PythonPath | None = None
    published: Annotated[str, Field(min_length=1)] | None = None
    function: PythonPath | None = None
    batch_function: PythonPath | None = None
    table: Annotated[str, Field(min_length=1)] | None = None
    n_images: Count | None = None
    evaluator: PythonPath | None = None
    trained: WeightsFile | None = None
    anchors: dict[str, WeightsFile] | Literal["installed"] = Field(default_factory=dict)
    anchors_from: Literal["labels", "largest"] = "labels"
    train_epochs: Annotated[int, Field(ge=0, le=100_000)] | None = None
    stitch_epochs: Annotated[int, Field(ge=0, le=100_000)] = 150
    supernet_epochs: Annotated[int, Field(ge=1, le=100_000)] = 300
    rule: Annotated[str, one_of_or_path(TRAINING_RULES)] | None = None
    largest: WeightsFile | None = None
    importance: Annotated[str, one_of(IMPORTANCES)] | None = None
    finetune_epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    finetune_rate: Annotated[float, Field(gt=0, le=1)] = 0.3
    batch: Count = 50
    device: Annotated[str, _DEVICE] = "auto"
    precision: Literal["f32", "bf16", "f16"] = "f32"
    loader_workers: Annotated[int, Field(ge=0, le=256)] | None = None
    learning_rates: LearningRates = LearningRates()
    shared_learning_rates: SharedLearningRates = SharedLearningRates()
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-2
    decay_norms: bool = True
    clip: Annotated[float, Field(ge=0, le=1e6)] = 5.0
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    warm_up_epochs: Annotated[int, Field(ge=0, le=100_000)] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    accumulation: Annotated[int, Field(ge=1, le=100_000)] = 1
    weight_averaging: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    cutmix: Annotated[float, Field(ge=0, le=100)] = 0.0
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_norms: Literal["global", "local"] | None = None
    rank_routes: Literal["same", "own"] = "same"
    routes: Annotated[str, one_of(ROUTE_DRAWS)] | None = None
    routes_per_step: Annotated[int, Field(ge=1, le=64)] = 1
    share_of_anchors: Annotated[float, Field(ge=0, lt=1)] | None = None
    distillation: Literal["soft", "hard", "none"] | None = None
    teacher: PythonPath | None = None
    stitch_images: Annotated[int, Field(ge=0)] = 500
    stitch_rank: Annotated[int, Field(ge=1, le=4096)] | None = None
    evaluations: Annotated[int, Field(ge=10, le=10_000)] = 150
    earlier: Annotated[str, Field(min_length=1)] | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    evaluation_timeout_seconds: Annotated[Seconds, Field(gt=0)] | None = None
    cluster: Annotated[str, _CLUSTER] | None = None
    worker_gpus: Annotated[float, Field(ge=0, le=64)] = 0.0
    predictor: Annotated[str, one_of_or_path(ACCURACY_PREDICTORS)] = "auto"
    predictor_seconds: Seconds = 0.0
    zero_cost: tuple[ZeroCostScore, ...] = Field(default=(), strict=False)

    @field_validator("anchors", mode="before")
    @classmethod
    def _files(cls, anchors: object) -> object:
        """Reads each anchor's path, or table of a path and a key."""
        if anchors == "installed":
            return anchors
        if not isinstance(anchors, dict):
            raise _wrong(
                "[accuracy] anchors must be a table with a file for each anchor, or 'installed', "
                f"but got {anchors!r}"
            )
        return {name: _file(f"[accuracy.anchors] {name}", v) for name, v in anchors.items()}

    @field_validator("trained", "largest", mode="before")
    @classmethod
    def _file(cls, given: object, info: ValidationInfo) -> object:
        """Reads a path, or a table of a path and a key."""
        return None if given is None else _file(f"[accuracy] {info.field_name}", given)

    @model_validator(mode="before")
    @classmethod
    def _whole_weights(cls, table: object) -> object:
        """Refuses to shard weights, under the names that this has elsewhere."""
        asked = [key for key in _SHARDING if isinstance(table, dict) and key in table]
        if asked:
            raise _wrong(
                f"[accuracy] {asked[0]}: each rank has all weights, which are not sharded over "
                "ranks here: drop it. Where a network does not fit, lower batch, or raise "
                "accumulation"
            )
        return table

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if len(given) > 1:
            both = "not both" if len(given) == 2 else "not all"
            raise PydanticCustomError(
                "accuracy", f"[accuracy] must have one of {' and '.join(given)}, {both}"
            )
        if self.teacher is not None and self.distillation == "none":
            raise PydanticCustomError(
                "accuracy", '[accuracy] teacher has nothing to teach with distillation = "none"'
            )
        if self.importance is not None and self.largest is None:
            raise PydanticCustomError(
                "accuracy", "[accuracy] importance sorts the weights of largest, which is not given"
            )
        if self.rank_routes == "own" and self.batch_norms == "global":
            raise PydanticCustomError(
                "accuracy",
                '[accuracy] batch_norms = "global" needs the same networks on all ranks: with '
                'rank_routes = "own" norms are local, drop it',
            )
        if self.worker_gpus and self.cluster is None:
            raise PydanticCustomError(
                "accuracy",
                "[accuracy] worker_gpus are for workers of a cluster, which is not given",
            )
        if self.predictor_seconds and not entry_of(self.predictor).tunes:
            raise PydanticCustomError(
                "accuracy",
                '[accuracy] predictor_seconds are for predictor = "auto", or one of your own',
            )
        self._refuse_idle(given[0] if given else "data")
        return self

    def _refuse_idle(self, source: str) -> None:
        """Refuses keys that go with other sources of accuracies."""
        if source in _TAKEN:
            idle = self.model_fields_set - _TAKEN[source] - {source}
            reason = f"with [accuracy] {source} nothing is trained"
        elif self.trained is not None:
            idle = self.model_fields_set & ({"n_images"} | STITCHED_KEYS | SUPERNET_KEYS)
            if "finetune_epochs" in self.model_fields_set:  # which `finetune` learns by
                idle -= _LEARNING - _SHARED
            reason = "with [accuracy] trained weights are there already"
        else:
            idle = self.model_fields_set & {"n_images"}
            reason = "images of a data set are counted"
        if not idle and not self.has_pictures:
            idle = self.model_fields_set & _PICTURES
            reason = "images of this data set are there already, and no pictures become any"
        if not idle and not is_of_timm(self.data or ""):
            idle = self.model_fields_set & {"data_root", "download"}
            reason = "a folder of images is where data says"
        if idle:
            raise PydanticCustomError("accuracy", f"{reason}: drop {min(idle)}")

    @property
    def has_pictures(self) -> bool:
        """True if pictures become images: those in a folder, or of a data set that timm knows."""
        return self.data is not None and is_of_pictures(self.data)

    @property
    def rates_while_shared(self) -> dict[str, float]:
        """Peak learning rates of the stage in which networks share weights, by kind of part."""
        given = self.shared_learning_rates.model_dump(exclude_none=True)
        return self.learning_rates.model_dump() | given

    @property
    def is_trained_here(self) -> bool:
        """True if weights are learned by the recipe itself, neither given nor replaced."""
        given = (getattr(self, source) for source in _TAKEN)
        return self.trained is None and all(source is None for source in given)

    @property
    def is_tabulated(self) -> bool:
        """True if all accuracies that there are stand in a table."""
        return self.published is not None or self.table is not None


def _file(where: str, value: object) -> WeightsFile:
    """Reads a path, or a table of a path and a key, which stands there in a recipe."""
    table = value if isinstance(value, dict) else {"file": value}
    for key in table:
        if key not in WeightsFile.model_fields:
            known = " and ".join(WeightsFile.model_fields)
            raise _wrong(f"there is no key {key!r} in {where}, which has {known}")
    if "file" not in table:
        raise _wrong(f"the key 'file' in {where} is missing")
    for key, text in table.items():
        if not isinstance(text, str) or not text:
            what = "a path" if key == "file" else "a key of that file"
            raise _wrong(f"{where} must have {what} as {key}, but got {text!r}")
    if "://" in str(table["file"]):
        raise _wrong(
            f"{where} must be a file here, but is an address, {shown(table['file'])}: "
            "nothing is fetched. Download it, and name the file"
        )
    return WeightsFile(**table)


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("accuracy", "{sentence}", {"sentence": sentence})

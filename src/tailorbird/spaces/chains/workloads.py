"""Workloads of mobile networks: one function for each torch module in `modules`.

Each takes the shape of its input, and fixes the order of the parameters in the key.
"""

from functools import partial

from tailorbird.spaces.workload import Workload, module_workload

Shape = tuple[int, ...]
"""(n, channels, height, width)"""

_workload = partial(module_workload, "tailorbird.spaces.chains.modules")


def strided(shape: Shape, to: int, stride: int) -> Shape:
    """Shape behind a convolution to `to` channels; an odd grid is halved upwards."""
    batch, _, height, width = shape
    return (batch, to, -(-height // stride), -(-width // stride))


def first_conv(shape: Shape, to: int, *, stride: int, h_swish: int) -> Workload:
    """Workload of a 3x3 convolution of the image."""
    params = {"to": to, "stride": stride, "h_swish": h_swish}
    return _workload("FirstConv", "first_conv", params, shape)


def mb_block(
    shape: Shape, to: int, *, expand: int, kernel: int, stride: int, se: int = 0, h_swish: int = 0
) -> Workload:
    """An inverted residual block, with squeeze and excitation if `se` is 1."""
    params = {
        "width": shape[1],
        "to": to,
        "expand": expand,
        "kernel": kernel,
        "stride": stride,
        "se": se,
        "h_swish": h_swish,
    }
    return _workload("MobileBlock", "mb_block", params, shape)


def grouped_block(
    shape: Shape, to: int, *, expand: int, kernel: int, stride: int, groups: int
) -> Workload:
    """An inverted residual block that expands even by 1, its 1x1 convolutions in groups."""
    params = {
        "width": shape[1],
        "to": to,
        "expand": expand,
        "kernel": kernel,
        "stride": stride,
        "groups": groups,
    }
    return _workload("GroupedBlock", "grouped_block", params, shape)


def projection(shape: Shape, to: int, *, stride: int, relu: int) -> Workload:
    """A 1x1 convolution in the place of an identity that would not fit."""
    params = {"width": shape[1], "to": to, "stride": stride, "relu": relu}
    return _workload("Projection", "projection", params, shape)


def mb_head(shape: Shape, features: int, classes: int) -> Workload:
    """A 1x1 convolution, mean over pixels, and one linear layer."""
    params = {"width": shape[1], "features": features, "classes": classes}
    return _workload("Head", "mb_head", params, shape)


def final_expand(shape: Shape, to: int) -> Workload:
    """A 1x1 convolution and the mean over pixels."""
    params = {"width": shape[1], "to": to}
    return _workload("FinalExpand", "final_expand", params, shape)


def feature_mix(shape: Shape, to: int) -> Workload:
    """A 1x1 convolution of one pixel."""
    params = {"width": shape[1], "to": to}
    return _workload("FeatureMix", "feature_mix", params, shape)


def classifier(batch: int, width: int, classes: int) -> Workload:
    """A linear layer."""
    params = {"width": width, "classes": classes}
    return _workload("Classifier", "classifier", params, (batch, width))

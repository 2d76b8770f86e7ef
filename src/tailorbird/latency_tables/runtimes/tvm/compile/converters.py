"""Converters of operators that TVM's own importer reads wrongly, or takes apart too early."""

from typing import Any

from torch import fx
from tvm import relax


def attention(node: fx.Node, importer: Any) -> relax.Expr:
    """Scaled dot-product attention as two matrix products around a softmax.

    Raises:
        NotImplementedError: for dropout, causal, boolean or grouped attention.
    """
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
    arguments = dict(zip(names, node.args, strict=False)) | node.kwargs
    q, k, v = (importer.env[arguments[name]] for name in names[:3])
    mask = importer.env[arguments["attn_mask"]] if arguments.get("attn_mask") is not None else None
    boolean = mask is not None and str(mask.ty.dtype.dtype) == "bool"
    if boolean or any(arguments.get(name) for name in ("dropout_p", "is_causal", "enable_gqa")):
        raise NotImplementedError("attention with dropout, a causal or boolean mask, or groups")
    emit, op = importer.block_builder.emit, relax.op
    scale = arguments.get("scale")
    scale = int(q.ty.shape[-1]) ** -0.5 if scale is None else scale
    q = emit(op.multiply(q, relax.const(scale, "float32")))
    axes = list(range(len(k.ty.shape)))
    scores = emit(op.matmul(q, emit(op.permute_dims(k, [*axes[:-2], axes[-1], axes[-2]]))))
    if mask is not None:
        scores = emit(op.add(scores, mask))
    return emit(op.matmul(emit(op.nn.softmax(scores, -1)), v))


def batch_norm(node: fx.Node, importer: Any) -> relax.Expr:
    """Batch norm in evaluation mode, as a product and a sum; TVM takes its momentum for eps.

    Raises:
        NotImplementedError: in training mode, where it depends on the batch.
    """
    x = importer.env[node.args[0]]
    gamma, beta, mean, variance = (
        importer.env[argument] if argument is not None else None for argument in node.args[1:5]
    )
    training, eps = node.args[5], node.args[7]
    if training or mean is None:
        raise NotImplementedError("batch norm in training mode, or without remembered statistics")
    emit, op = importer.block_builder.emit, relax.op
    shape = [1, -1] + [1] * (len(x.ty.shape) - 2)
    scale = emit(op.rsqrt(emit(op.add(variance, relax.const(eps, "float32")))))
    if gamma is not None:
        scale = emit(op.multiply(scale, gamma))
    shift = emit(op.negative(emit(op.multiply(mean, scale))))
    if beta is not None:
        shift = emit(op.add(shift, beta))
    scaled = emit(op.multiply(x, emit(op.reshape(scale, shape))))
    return emit(op.add(scaled, emit(op.reshape(shift, shape))))


def select(node: fx.Node, importer: Any) -> relax.Expr:
    """One index of an axis, as a slice; TVM gathers it, with a warning on the user's terminal."""
    x: Any = importer.env[node.args[0]]
    axis = importer.retrieve_args(node)[1] % len(x.ty.shape)
    index = importer.retrieve_args(node)[2] % int(x.ty.shape[axis])
    emit, op = importer.block_builder.emit, relax.op
    return emit(op.squeeze(emit(op.strided_slice(x, [axis], [index], [index + 1])), [axis]))


def squeeze(node: fx.Node, importer: Any) -> relax.Expr:
    """Axes of one element left out; TVM fails with `std::bad_alloc` where one is negative."""
    x: Any = importer.env[node.args[0]]
    asked, shape = importer.retrieve_args(node)[1], x.ty.shape
    axes = [axis % len(shape) for axis in (asked if isinstance(asked, list | tuple) else [asked])]
    alone = [axis for axis in axes if int(shape[axis]) == 1]  # torch leaves others as they are
    return importer.block_builder.emit(relax.op.squeeze(x, alone)) if alone else x


CONVERTERS = {
    "scaled_dot_product_attention.default": attention,
    "batch_norm.default": batch_norm,
    "select.int": select,
    "squeeze.dim": squeeze,
    "squeeze.dims": squeeze,
}

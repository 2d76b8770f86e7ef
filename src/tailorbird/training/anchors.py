"""Weights that anchors come with."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tailorbird.errors import WeightsError
from tailorbird.spaces.stitching import Pretrained
from tailorbird.training.network import StitchedNetwork

_WRAPPERS = ("state_dict", "model", "model_state")


def read(path: Path) -> dict[str, Tensor]:
    """A state dict from safetensors, or from torch's own format; no code in it is ever run.

    Raises:
        WeightsError: if the file is neither.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"The weights in {str(path)!r} cannot be read: {error}.") from None
    except Exception as error:  # noqa: BLE001  # torch raises whatever its unpickler meets
        said = str(error).partition("\n")[0].partition(". ")[0]  # torch goes on with advice
        raise WeightsError(
            f"{str(path)!r} must hold a state dict, as safetensors or by torch.save, but it does "
            f"not load as plain tensors ({type(error).__name__}: {said})."
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise WeightsError(f"{str(path)!r} must hold a state dict, a tensor under each name.")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def place(network: StitchedNetwork, family: Pretrained, anchor: int, path: Path) -> None:
    """Puts an anchor's own state dict into the parts of a network, all of it or nothing.

    Raises:
        WeightsError: if it does not fit, with the names and shapes that do not.
    """
    own = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if _part(name).split("-")[:2] in ([k, str(anchor)] for k in ("embedding", "block", "head"))
    }
    placed: dict[str, Tensor] = {}
    wrong: list[str] = []
    for name, tensor in read(path).items():
        try:
            part, inner = family.place(anchor, name)
        except KeyError:
            wrong.append(f"{name} has no place")
            continue
        key = f"parts.{part}.{inner}"
        if key not in own:
            wrong.append(f"{name} has no place")
        elif own[key].shape != tensor.shape:
            wrong.append(f"{name} is {tuple(tensor.shape)}, not {tuple(own[key].shape)}")
        placed[key] = tensor
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    wrong += [f"{key.removeprefix('parts.')} is missing" for key in own.keys() - placed - counters]
    if wrong:
        shown = "; ".join(sorted(wrong)[:5]) + ("; …" if len(wrong) > 5 else "")
        raise WeightsError(
            f"The weights in {str(path)!r} do not fit {family.anchors[anchor]} of {family.name}, "
            f"in {len(wrong)} places: {shown}. Name the file of that anchor, with a head for "
            f"{family.n_classes} classes."
        )
    network.load_state_dict(placed, strict=False)


def _part(name: str) -> str:
    return name.split(".")[1]

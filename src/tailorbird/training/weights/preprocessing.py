"""Preprocessing that weights were trained with, as their file or timm's file beside it says."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tailorbird.errors import ContractError, TailorbirdError, WeightsError
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.storage.foreign import bounded_file

_MOST_BYTES = 2**20
_NAME = "config.json"


def preprocessing_of(weights: Path) -> Preprocessing | None:
    """Preprocessing that weights were trained with; None if nobody says.

    It is told by the metadata of a file that was written here, or a `config.json` of timm's beside
    the weights, as models are downloaded.

    Raises:
        WeightsError: if it says something that cannot be.
    """
    with suppress(OSError, SafetensorError), safe_open(weights, framework="pt") as file:
        told = (file.metadata() or {}).get("preprocessing")
        if told is not None:
            with suppress(ValueError, TypeError):  # somebody else's word for something else
                return Preprocessing.from_json(told)
    path = weights.parent / _NAME
    read: Any = None
    with suppress(TailorbirdError, OSError, ValueError):
        read = json.loads(bounded_file.read(path, _MOST_BYTES, f"A {_NAME}"))
    config = read.get("pretrained_cfg") if isinstance(read, dict) else None
    if not isinstance(config, dict) or "input_size" not in config:
        return None
    names = {"mean": "mean", "std": "std", "interpolation": "interpolation", "crop": "crop_pct"}
    values: dict[str, Any] = {
        own: tuple(config[theirs]) if isinstance(config[theirs], list) else config[theirs]
        for own, theirs in names.items()
        if config.get(theirs) is not None
    }
    try:
        n_channels, *size = config["input_size"]
        channels = "grey" if n_channels == 1 else "rgb"
        return Preprocessing(size=tuple(size), channels=channels, **values)
    except (TypeError, ValueError, ContractError) as error:
        raise WeightsError(
            f"Preprocessing that weights were published with must be one that can be, but that in "
            f"{str(path)!r} is none ({error}). Mend it, or take the file away and state it in "
            "[accuracy.preprocessing]."
        ) from None

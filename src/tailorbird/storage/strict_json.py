"""JSON as its standard has it: what is not a finite number is null."""

import json
import math
from collections.abc import Mapping


def dumps(value: object) -> str:
    """A value as indented JSON, in ASCII."""
    return json.dumps(_strict(value), indent=1, allow_nan=False)


def _strict(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _strict(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one) for one in value]
    return value

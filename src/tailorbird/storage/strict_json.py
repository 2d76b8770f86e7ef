"""JSON as its standard has it: numbers that are not finite are null."""

import json
import math
from collections.abc import Mapping


def dumps(value: object) -> str:
    """Writes a value as indented JSON, in ASCII."""
    return json.dumps(_strict(value), indent=1, allow_nan=False)


def _strict(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _strict(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one) for one in value]
    return value

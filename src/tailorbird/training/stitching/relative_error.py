"""Distance of features from others, whatever their scale."""

from torch import Tensor


def relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance, as a share of the squared length of what is wanted."""
    return (found - wanted).square().sum() / wanted.square().sum().clamp(min=1e-12)

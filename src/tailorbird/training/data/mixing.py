"""Mixed images: pairs of training images become one, and so do their labels."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from tailorbird.errors import ContractError


@dataclass(frozen=True, slots=True)
class Mixing:
    """Mixes the images of a batch with each other.

    Attributes:
        mixup: shape of the Beta distribution of the share of the other image in a sum; 0 for none.
        cutmix: likewise, of the share of its area that a rectangle of the other image takes. Where
            both are given, each batch is mixed by one of them, either as likely.

    References:
        Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018.
        Yun et al.: CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features. ICCV 2019.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def is_on(self) -> bool:
        """True if images are mixed at all."""
        return bool(self.mixup or self.cutmix)

    def mixed(
        self, images: Tensor, labels: Tensor, n_classes: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mixed images, and the probabilities of their classes, (n, classes).

        Images (n, channels, height, width) and labels (n,) stay as they are if nothing is mixed.

        Raises:
            ContractError: if rectangles are to be cut out of what are no images.
        """
        if self.cutmix and images.ndim != 4:
            raise ContractError(
                "cutmix takes rectangles of images, but inputs have shape "
                f"{tuple(images.shape[1:])}. Take mixup."
            )
        kinds = [kind for kind in ("mixup", "cutmix") if getattr(self, kind)]
        if not kinds:
            return images, labels
        kind = kinds[int(rng.integers(len(kinds)))]
        alpha = getattr(self, kind)
        share = float(rng.beta(alpha, alpha))
        others = images.flip(0)
        if kind == "mixup":
            made = images.lerp(others, 1 - share)
        else:
            made, share = _pasted(images, others, share, rng)
        targets = F.one_hot(labels, n_classes).to(images.dtype)
        return made, targets.lerp(targets.flip(0), 1 - share)


def _pasted(
    images: Tensor, others: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Images with a rectangle of others, at the same place in all; and the share that is theirs."""
    height, width = images.shape[-2:]
    side = (1 - share) ** 0.5
    middle = rng.random(2) * (height, width)
    half = np.array([height, width]) * side / 2
    (top, left), (bottom, right) = (
        np.clip(np.round(edge), 0, (height, width)).astype(int)
        for edge in (middle - half, middle + half)
    )
    made = images.clone()
    made[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return made, 1 - (bottom - top) * (right - left) / (height * width)

"""Rounding of numbers of channels."""


def multiple_of_8(width: float) -> int:
    """The nearest multiple of 8, a half up, but not below 8 nor more than a tenth below `width`.

    References:
        Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear
        Bottlenecks. CVPR 2018 (the authors' program).
    """
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8

"""Chains: networks that are a sequence of workloads, such as the spaces of published tables."""

from tailorbird.spaces.chains.chain import Chain, Edge, Layout
from tailorbird.spaces.chains.fbnet import fbnet_layout
from tailorbird.spaces.chains.macro_mobilenetv2 import macro_mobilenetv2_layout
from tailorbird.spaces.chains.ofa_mobilenetv3 import OFAMobileNetV3

__all__ = [
    "Chain",
    "Edge",
    "Layout",
    "OFAMobileNetV3",
    "fbnet_layout",
    "macro_mobilenetv2_layout",
]

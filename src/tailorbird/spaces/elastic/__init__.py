"""Elastic spaces: networks of stages of a user's own blocks, whose number and arguments vary."""

from tailorbird.spaces.elastic.space import Elastic
from tailorbird.spaces.elastic.stage import Stage

__all__ = ["Elastic", "Stage"]

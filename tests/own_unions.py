"""Unions that a user's own functions make."""

import own_shared_net
import users_module

from tailorbird import spaces
from tailorbird.spaces import Union
from tailorbird.spaces.unions import union_of


def elastics(batch: int) -> Union:
    """Of supernets alone."""
    return union_of([spaces.get("digits-elastic", batch=batch), own_shared_net.space(batch)])


def both(batch: int) -> Union:
    """Of a supernet and of stitched networks."""
    return union_of([users_module.space(batch), own_shared_net.space(batch)])

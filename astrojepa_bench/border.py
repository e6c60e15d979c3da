"""The border between the bench and plugins: whose code runs just now, so that a fault bears its owner's name.

What a component's factory made is marked with its offer, and every call from the bench into it stands in a block
that names it. An exception that leaves such a block is marked with the same offer; of nested blocks the innermost
counts, as it is the one whose code was asked last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from astrojepa_bench.options import Offer

Made = TypeVar("Made")
_MARK = "_astrojepa_offer"


def owned(made: Made, offer: Offer) -> Made:
    """Mark what an offer's factory made, or an exception that its code raised, and return it."""
    with suppress(
        AttributeError, TypeError
    ):  # slots, or a class that refuses attributes: the traceback tells
        object.__setattr__(made, _MARK, offer)
    return made


def owner_of(made: object) -> Offer | None:
    """Return the offer that something is marked with; None where there is none.

    Of an exception that was raised from another one, the innermost mark counts.
    """
    found: Offer | None = None
    for each in raised_from(made) if isinstance(made, BaseException) else (made,):
        mark = getattr(each, "__dict__", {}).get(_MARK)
        found = mark if isinstance(mark, Offer) else found
    return found


def raised_from(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, then what it was raised from, and so on; once each, since a plugin may tie a knot."""
    seen = set[int]()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        yield each
        seen.add(id(each))
        each = each.__cause__


@contextmanager
def blamed_on(made: object) -> Iterator[None]:
    """Mark an exception that leaves this block, unless a block within it already did.

    Args:
        made: an offer, or what its factory made; anything else names nobody.
    """
    try:
        yield
    except BaseException as error:
        offer = made if isinstance(made, Offer) else owner_of(made)
        if offer is not None and owner_of(error) is None:
            owned(error, offer)
        raise

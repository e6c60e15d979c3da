"""Applies the checks to pieces that no plugin offers.

pytest loads this file when it starts, in every process, because its folder begins with "test"; so what imports
torch is imported where it is used.
"""

import pytest


def offer_of(kind, factory):
    """Put a factory into an offer, as the registry would."""
    from astrojepa_bench.options import Offer
    from astrojepa_bench.signatures import option_schema, summary_of

    summary, options = summary_of(factory), option_schema(factory)
    return Offer(kind, "control", factory, factory.__module__, "tests", "", summary, options)


@pytest.fixture
def outcomes():
    """Apply every check of a kind, or the named one alone, to a factory; gives outcomes by id."""
    from astrojepa_bench.testing import checks_of, subject_of

    def find(kind, factory, only=None):
        subject = subject_of(offer_of(kind, factory))
        return {check.id: check.run(subject) for check in checks_of(kind) if only in (None, check.id)}

    return find


@pytest.fixture
def fault(outcomes):
    """Return what one check finds wrong with a factory, which must be something."""

    def find(kind, check, factory):
        outcome = outcomes(kind, factory, check)[check]
        assert outcome.verdict == "failed", outcome
        assert outcome.fix
        return outcome.found

    return find

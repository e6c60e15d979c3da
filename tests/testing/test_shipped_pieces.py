"""What we ship keeps the rules that we ask of others."""

import pytest

from astrojepa_bench.errors import BenchError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.testing import absent, conform, subject_of

REGISTRY = load_registry()
OFFERS = [offer for offer in REGISTRY.offers() if not offer.is_family]


def subject_here(offer):
    """Return a piece that can be had without options and downloads, or skip."""
    try:
        subject = subject_of(offer)
    except BenchError as error:
        pytest.skip(str(error))
    reason = absent(subject)
    if reason:
        pytest.skip(reason)
    return subject


def faults_of(offer):
    """Name the checks that a piece fails."""
    return {outcome.id for outcome in conform(subject_here(offer)).faults}


@pytest.mark.slow
@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: f"{offer.kind}:{offer.name}")
def test_shipped_piece_keeps_the_rules(offer):
    """No piece of ours fails a check."""
    assert faults_of(offer) == set()


@pytest.mark.parametrize("offer", REGISTRY.offers("masker"), ids=lambda offer: offer.name)
def test_shipped_masker_keeps_the_rules(offer):
    """Maskers take milliseconds to check, so they are checked every time."""
    assert faults_of(offer) == set()

"""The recorded draws of the negative control are those that the code makes."""

import pytest

from perflaw.study.analysis import false_claims
from perflaw.study.paper import published


@pytest.mark.integration
@pytest.mark.parametrize("kind", false_claims.CONTROLS)
def test_recorded_draws_are_made_again(kind):
    recorded = false_claims.load_false_claims()
    recorded = recorded[recorded["kind"] == kind]
    again = false_claims.simulate_false_claims(kind, published.load_surfaces(), 5)
    assert recorded["draw"].tolist() == list(range(1000))
    assert again["both"].tolist() == recorded["both"].head(5).tolist()
    assert again["law"].tolist() == recorded["law"].head(5).tolist()

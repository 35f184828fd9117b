"""A few of the faults: each cause is named, its first remedy ends as was said, and a sound study has no card."""

from __future__ import annotations

import pytest

from tests.faults.kinds import KINDS
from tests.faults.suite import NEAR, drawn, seen


@pytest.mark.parametrize("name", ["no spread", "bioavailability", "absorption", "exchanged", "unit"])
def test_a_fault_is_named_and_its_first_remedy_was_fitted(name):
    found = seen(KINDS[name], *drawn(name, 0, faulty=True))
    assert found.named and found.kept and found.above < NEAR


@pytest.mark.parametrize("name", ["no spread", "one effect"])
def test_a_sound_study_has_no_card(name):
    assert seen(KINDS[name], *drawn(name, 0, faulty=False)).causes == ()

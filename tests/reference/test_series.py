"""Series of published runs on the same data: the difference that each step made, and searches that end in them."""

from __future__ import annotations

import pytest

import workbench as wb

from .cases import Entry, named
from .fits import fitted


def final(name: str) -> Entry:
    return next(entry for entry in named(name).entries() if "initial" not in entry.label)


@pytest.mark.reference
def test_steps_of_a_model_that_was_built() -> None:
    """expo1: a second compartment, allometric scaling, and another residual error."""
    entries = [final(f"expo1_{number}_focei") for number in (100, 101, 102, 103)]
    fits = [fitted(entry) for entry in entries]
    for k in range(1, len(fits)):
        found = wb.compare(*fits[k - 1 : k + 1])
        published = entries[k].published - entries[k - 1].published
        assert found.table["delta_ofv"].iloc[1] == pytest.approx(published, abs=1e-3)
    words = [wb.compare(*fits[k - 1 : k + 1]).differences["2"] for k in (1, 2, 3)]
    assert any("structure wb.pk(compartments=2" in text for text in words[0])
    assert words[1] == tuple(f"with log(WT/70) on {name}" for name in ("V1", "CL", "V2", "Q"))
    assert words[2] == ("constant residual error instead of proportional",)


def test_a_search_ends_in_the_published_model() -> None:
    """Phenobarbital, scaled by weight: of all effects of Apgar scores, that of asphyxia on V is the one published."""
    entry = final("pheno_real")
    frame = entry.data.to_frame()
    frame["ASPHYXIA"] = (frame["APGR"] < 5).astype(int)
    data = wb.read_data(frame, roles={**entry.data.roles, "covariates": ["WGT", "APGR", "ASPHYXIA"]})
    scope = {name: ["APGR", ("ASPHYXIA", "fraction")] for name in ("CL", "V")}
    found = wb.stepwise(entry.model.without_covariate("V", "APGR"), data, scope, backward=0.05)
    assert [str(effect) for effect in found.effects] == ["ASPHYXIA on V (fraction)"]
    assert found.fit.ofv == pytest.approx(entry.published, abs=1e-3)
    forward = found.log[found.log["direction"] == "forward"]
    assert forward["predicted"].to_numpy() == pytest.approx(forward["delta_ofv"].to_numpy(), abs=0.3)


def test_weight_comes_first() -> None:
    data = final("pheno_real").data
    found = wb.stepwise(wb.Model(wb.pk(), error=wb.Proportional()), data, {n: ["WGT", "APGR"] for n in ("CL", "V")})
    assert [str(effect) for effect in found.effects] == ["WGT on V (power)", "WGT on CL (power)"]

"""Standard errors of published NONMEM runs: the sandwich, its default, and the inverse Hessian."""

from __future__ import annotations

import pytest

import workbench as wb

from .cases import CASES, Case, each

# what the sources call the typical values; those that begin with l are logarithms
TYPICAL = {
    "bauer402_focei_2cpt": {"TVV1": "V1", "TVCL": "CL", "TVV2": "V2", "TVQ": "Q"},
    "bauer504f_focei_covariates_fixed": {"TVCL": "CL", "TVV": "V"},
    "bolus_2cpt_focei_singledose": {"lCL": "CL", "lV1": "V1", "lQ": "Q", "lV2": "V2"},
    "expo1_101_focei": {"lKA": "ka", "lV2": "V1", "lCL": "CL", "lV3": "V2", "lQ": "Q"},
    "expo1_102_focei": {"lKA": "ka", "lV2": "V1", "lCL": "CL", "lV3": "V2", "lQ": "Q"},
    "mox1_foce": {"TVCL": "CL", "TVV": "V", "TVKA": "ka"},
    "pheno_block_add_focei": {"lCL": "CL", "lV": "V"},
    "pheno_block_focei": {"TVCL": "CL", "TVV": "V"},
    "pheno_fo_prop": {"TVCL": "CL", "TVV": "V"},
    "pheno_real": {"TVCL": "CL", "TVV": "V"},
    "theo320_fo": {"TVKA": "ka", "TVV": "V", "TVK": "k"},
    "theo320_focei": {"TVKA": "ka", "TVV": "V", "TVK": "k"},
    "theo320_lapli": {"TVKA": "ka", "TVV": "V", "TVK": "k"},
    "wang2007_focei_prop_fit": {"TVKE": "k"},
    "warfarin_focei_run000": {"lKA": "ka", "lCL": "CL", "lV": "V"},
}


@each([case for case in CASES if case.name in TYPICAL])
def test_published_standard_errors(case: Case) -> None:
    """Typical values, variances of the random effects, and a proportional error, within 5 %."""
    expected = case.known["expected"]
    kind = "sandwich" if expected["se_type"].startswith("sandwich") else "R"
    entry = next(entry for entry in case.entries() if "initial" not in entry.label)
    fit = wb.fit(entry.model, entry.data, entry.method, covariance=kind)
    assert fit.converged and not fit.se_reason
    ours, theirs = {}, {}
    for name, own in TYPICAL[case.name].items():
        estimate = fit.estimate(own)
        ours[name] = estimate.se / estimate.value if name.startswith("l") else estimate.se
        theirs[name] = expected["se"][name]
    for k, effect in enumerate(fit.random_effects, start=1):
        label, estimate = f"omega[{k},{k}]", fit.estimate(f"iiv_{effect}")
        if label in expected["se"]:
            ours[label], theirs[label] = 2 * estimate.value * estimate.se, expected["se"][label]
    if "prop_sd" in expected["se"]:
        ours["prop_sd"], theirs["prop_sd"] = fit.estimate("b").se, expected["se"]["prop_sd"]
    assert len(ours) > 2
    # NONMEM differences its Laplace objective numerically; ours come from the exact gradient, held to differences
    assert ours == pytest.approx(theirs, rel=0.15 if entry.method == "laplace" else 0.05)

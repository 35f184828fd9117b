"""Results as JSON: what `to_dict` gives is described by the schema of its class, and has the numbers of the result."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.markup import Recorded, Shown

DATA = wb.load_example("theophylline")
MODEL = wb.Model(wb.pk(absorption="first-order"), error=wb.Constant())
DESIGN = wb.Design(wb.Regimen(4), times=[1, 2, 5, 10])


@pytest.fixture(scope="module")
def fit():
    return wb.fit(MODEL, DATA)


MADE = {
    "fit": lambda fit: fit,
    "bootstrap": lambda fit: wb.bootstrap(fit, 4, jobs=1),
    "sir": lambda fit: wb.sir(fit, samples=40, resamples=20),
    "profile": lambda fit: wb.profile(fit, "CL"),
    "ratio": lambda fit: wb.likelihood_ratio_test(fit, wb.fit(MODEL.with_covariate("V", "WT"), DATA)),
    "gof": wb.gof,
    "npde": lambda fit: wb.npde(fit, 50),
    "vpc": lambda fit: wb.vpc(fit, 30),
    "effects": wb.random_effects,
    "influence": wb.influence,
    "nca": lambda fit: wb.nca(DATA),
    "compare": lambda fit: wb.compare(fit, wb.fit(MODEL, DATA, method="foce")),
    "screen": wb.screen,
    "linearised": wb.linearised_screen,
    "stepwise": lambda fit: wb.stepwise(MODEL, DATA, {"V": ["WT"]}),
    "simulation": lambda fit: wb.simulate(fit, DESIGN, replicates=20),
    "information": lambda fit: wb.information(fit.model, DESIGN),
}


@pytest.mark.parametrize("name", MADE)
def test_a_result_is_json_that_its_schema_describes(name, fit):
    result = MADE[name](fit)
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    schema = wb.json_schema(type(result))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema)
    assert set(schema["properties"]) <= set(record) and schema["description"]
    described = [one for one in schema["properties"].values() if one.get("description")]
    assert len(described) >= 0.5 * (len(schema["properties"]) - 2)
    jsonschema.validate({**record, "more": 1}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({k: v for k, v in record.items() if k != list(schema["properties"])[-1]}, schema)
    table = getattr(result, "table", None)
    if isinstance(table, pd.DataFrame):
        written = pd.DataFrame(record["table"]["rows"], columns=list(table.columns))
        for column in table.select_dtypes("number"):
            assert np.array_equal(written[column].astype(float), table[column].astype(float), equal_nan=True)


def test_every_result_has_one():
    kinds = {kind.__name__ for kind in (*Shown.__subclasses__(), *Recorded.__subclasses__())}
    assert {"Bootstrap", "Profile", "Screening", "Noncompartmental", "LikelihoodRatioTest"} <= kinds
    for kind in Shown.__subclasses__():
        jsonschema.Draft202012Validator.check_schema(wb.json_schema(kind))
    with pytest.raises(wb.ModelError, match="classes of results"):
        wb.json_schema(int)


def test_a_fit_as_json_has_its_numbers(fit):
    record = fit.to_dict()
    for line, written in zip(fit.estimates.itertuples(), record["estimates"], strict=True):
        assert (line.Index, line.estimate) == (written["name"], written["value"])
        assert written["se"] == (None if np.isnan(line.se) else line.se)
    assert (record["ofv"], record["aic"], record["bic"]) == (fit.ofv, fit.aic, fit.bic)
    assert record["data"]["hash"] == DATA.hash and "records" not in record

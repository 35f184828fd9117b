"""Tables as NONMEM writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb


def test_tables_hold_what_the_fit_knows(tmp_path):
    data = wb.load_example("theophylline")
    model = wb.Model(wb.pk(absorption="first-order"), error=wb.Combined2())
    fit = wb.fit(model, data, covariance=False)
    paths = wb.to_xpose(fit, tmp_path / "run12.mod")
    assert [path.name for path in paths] == ["sdtab12", "patab12", "cotab12"]
    for path in paths:
        assert path.read_text().splitlines()[0] == "TABLE NO.  1"
    sd, pa, co = (pd.read_csv(path, sep=r"\s+", skiprows=1) for path in paths)
    table = fit.table()
    assert len(sd) == len(pa) == len(co) == len(table) == 132
    for column in ("TIME", "DV", "PRED", "IPRED", "CWRES"):
        assert np.allclose(sd[column], table[column], rtol=1e-6, atol=1e-12)
    assert list(pa.columns) == ["ID", "ka", "CL", "V", "ETA1", "ETA2", "ETA3"]
    assert np.allclose(pa["ETA2"], table["eta_CL"], rtol=1e-6, atol=1e-12)
    assert np.allclose(co["WT"], table["WT"])


def test_only_fits_have_tables(tmp_path):
    with pytest.raises(wb.ModelError, match="a fit is needed, got Model"):
        wb.to_xpose(wb.Model(wb.pk()), tmp_path / "run1")

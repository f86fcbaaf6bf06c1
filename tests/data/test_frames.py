"""What may be given as data, and what is said of anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crossnest import DesignError, datasets, lm, lmer

FORMULA = "Reaction ~ Days + (Days | Subject)"
SLEEP = datasets.sleepstudy()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "the data must be a data frame .* not None"),
        (
            "sleep.csv",
            r"a path or text \('sleep.csv'\): read the file first, as in pandas.read_csv",
        ),
        (Path("sleep.csv"), "read the file first"),
        ("sleepstudy", r"the name of a data set: use crossnest.datasets.sleepstudy\(\)"),
        ("Reaction ~ 1", "a formula: give the formula first, then the data"),
        (SLEEP["Reaction"], r"a Series: use .to_frame\(\)"),
        (SLEEP.to_numpy(), r"an array: name its columns by pandas.DataFrame\(array, columns="),
        (SLEEP.to_records(), r"an array: name its columns by pandas.DataFrame\(array\)"),
        (SLEEP.to_dict("records"), r"a list: make one by pandas.DataFrame\(\.\.\.\)"),
        (SLEEP.groupby("Subject", observed=True), "not DataFrameGroupBy"),
        (3, "not int"),
    ],
)
@pytest.mark.parametrize("fit", [lmer, lm])
def test_what_is_no_data_frame(fit: Any, data: Any, text: str) -> None:
    with pytest.raises(DesignError, match=text):
        fit(FORMULA if fit is lmer else "Reaction ~ Days", data)


def test_a_lazy_frame_is_collected_first() -> None:
    pl = pytest.importorskip("polars")
    with pytest.raises(DesignError, match="collect a lazy frame first"):
        lmer(FORMULA, pl.LazyFrame({"y": [1.0]}))


def test_a_group_in_the_index_is_found() -> None:
    with pytest.raises(DesignError, match=r"it is the index: use data.reset_index\(\)"):
        lmer(FORMULA, SLEEP.set_index("Subject"))
    with pytest.raises(DesignError, match=r"it is the index: use data.reset_index\(\)"):
        lmer(FORMULA, SLEEP.set_index(["Subject", "Days"]))


def test_names_of_several_levels() -> None:
    wide = SLEEP.copy()
    wide.columns = pd.MultiIndex.from_product([["a"], SLEEP.columns])
    with pytest.raises(DesignError, match="the columns of the data have names of 2 levels"):
        lmer(FORMULA, wide)


def test_newdata_that_lacks_a_column(fitted: Any) -> None:
    model = fitted("sleepstudy")
    with pytest.raises(DesignError, match="there is no column 'Subject' in newdata"):
        model.predict({"Days": [1.0]})
    with pytest.raises(DesignError, match=r"no column 'Days' in newdata .* did you mean 'days'\?"):
        model.predict({"days": [1.0], "Subject": ["308"]})
    with pytest.raises(DesignError, match=r"the index: use newdata.reset_index\(\)"):
        model.predict(SLEEP.set_index("Subject"))
    with pytest.raises(DesignError, match="newdata must be a data frame"):
        model.predict([1, 2])
    with pytest.raises(DesignError, match=r"column 'Days' of newdata is a single value \(3\)"):
        model.predict({"Days": 3, "Subject": "308"})


def test_columns_with_other_labels_were_taken_row_by_row() -> None:
    shuffled = SLEEP["Days"].sort_values(kind="stable")
    columns = {"Reaction": SLEEP["Reaction"], "Days": shuffled, "Subject": SLEEP["Subject"]}
    assert lmer(FORMULA, columns).objective == pytest.approx(1743.628, abs=1e-3)
    with pytest.raises(
        DesignError, match="the Series given as column 'Days' does not have the index of the data"
    ):
        lmer(FORMULA, columns | {"Days": SLEEP["Days"].set_axis(range(1, 181))})
    with pytest.raises(DesignError, match="'Reaction' has 180 values, 'Days' has 2"):
        lmer(FORMULA, columns | {"Days": np.ones(2)})

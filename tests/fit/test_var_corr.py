from __future__ import annotations

import numpy as np
import pytest

from crossnest.fit.var_corr import CovarianceTerm, VarCorr, unique_names

PRINTED = """\
 Groups   Name        Std.Dev. Corr 
 Subject  (Intercept) 24.7405       
          Days         5.9221  0.066
 Residual             25.5918       """  # noqa: W291


def three() -> VarCorr:
    root = np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, -0.5, 3.0]])
    wide = CovarianceTerm("g", ("a", "b", "c"), root @ root.T)
    return VarCorr([wide, CovarianceTerm("h", ("(Intercept)",), np.array([[0.25]]))], 1.5)


def test_prints_lme4s_table(fitted):
    assert str(fitted("sleepstudy").var_corr) == PRINTED
    assert repr(fitted("sleepstudy").var_corr) == PRINTED


def test_to_frame_has_covariances_last():
    frame = three().to_frame()
    assert list(frame.columns) == ["grp", "var1", "var2", "vcov", "sdcor"]
    assert list(frame["grp"]) == ["g"] * 6 + ["h", "Residual"]
    pairs = list(zip(frame["var1"], frame["var2"].fillna(""), strict=True))
    assert pairs[:6] == [("a", ""), ("b", ""), ("c", ""), ("a", "b"), ("a", "c"), ("b", "c")]
    np.testing.assert_allclose(frame["vcov"], [4, 2, 9.5, 2, 1, 0, 0.25, 2.25])
    np.testing.assert_allclose(frame["sdcor"][3], 2 / np.sqrt(8))
    np.testing.assert_allclose(frame["sdcor"][6:], [0.5, 1.5])


def test_to_frame_by_lower_triangle():
    frame = three().to_frame(order="lower.tri")
    pairs = list(zip(frame["var1"], frame["var2"].fillna(""), strict=True))
    assert pairs[:6] == [("a", ""), ("a", "b"), ("a", "c"), ("b", ""), ("b", "c"), ("c", "")]
    with pytest.raises(ValueError, match=r"lower\.tri"):
        three().to_frame(order="upper")


def test_made_from_relative_factors():
    factor = np.array([[1.0, 0.0], [0.5, 0.25]])
    made = VarCorr.from_factors(["g"], [("a", "b")], [factor], ["unstructured"], sigma=2.0)
    np.testing.assert_allclose(made["g"], 4 * factor @ factor.T)
    assert list(made["g"].columns) == ["a", "b"]
    assert list(made) == ["g"]
    assert len(made) == 1
    with pytest.raises(KeyError, match="'x'"):
        made["x"]


def test_a_diagonal_term_has_no_covariances():
    covariance = np.diag([4.0, 1.0])
    made = VarCorr(
        [CovarianceTerm("g", ("a", "b"), covariance, covariance_structure="diagonal")], 1.0
    )
    assert len(made.to_frame()) == 3
    assert "Corr" not in str(made)


def test_a_diagonal_term_next_to_a_full_one_is_blank():
    full = CovarianceTerm("f", ("a", "b"), np.array([[4.0, 1.0], [1.0, 4.0]]))
    diagonal = CovarianceTerm("g", ("a", "b", "c"), np.eye(3), covariance_structure="diagonal")
    cells, columns = VarCorr([full, diagonal], 1.0).table(4, ("Std.Dev.",))
    assert columns == ["Groups", "Name", "Std.Dev.", "Corr"]
    assert [row[3] for row in cells] == ["", "0.25", "", "", "", ""]


def test_correlation_with_a_zero_variance_is_nan():
    term = CovarianceTerm("g", ("a", "b"), np.diag([0.0, 1.0]))
    assert np.isnan(term.correlation[1, 0])
    np.testing.assert_array_equal(np.diag(term.correlation), 1.0)
    assert "NaN" in str(VarCorr([term], 1.0))


def test_several_terms_on_one_factor_are_told_apart(fitted):
    assert list(fitted("sleepstudy_zcp").var_corr) == ["Subject", "Subject.1"]
    assert unique_names(["g", "h", "g", "g"]) == ["g", "h", "g.1", "g.2"]
    assert unique_names(["g", "g.1", "g"]) == ["g", "g.1", "g.2"]


def test_html_is_a_table_and_escapes():
    made = VarCorr([CovarianceTerm("<g>", ("(Intercept)",), np.eye(1))], 1.0)
    text = made._repr_html_()
    assert "<table>" in text
    assert "&lt;g&gt;" in text

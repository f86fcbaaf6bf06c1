"""Tables of tests: data frames that print as R's anova tables do."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .html import html_table
from .r_format import (
    STARS_LEGEND,
    format_coefficients,
    matrix_lines,
    significance_stars,
)

#: Columns of test statistics other than those called "... value".
_STATISTICS = ("F", "Chisq")


class TestTable(pd.DataFrame):
    """A data frame of tests, one per row, that prints as R's ``print.anova``.

    Test statistics (``F value``, ``t value``, ``Chisq``) share a format, p-values (``Pr(...)``, the
    last column) have stars, what is missing is left blank. What is computed from it is a table too,
    and prints as pandas does where it holds other things than numbers.

    Parameters
    ----------
    *arguments, **keywords
        Those of `pandas.DataFrame`.
    heading : str
        What is printed above the table, perhaps of several lines.
    footnote : str
        What is printed below it.

    Attributes
    ----------
    heading : str
        What is printed above the table.
    footnote : str
        What is printed below it.
    """

    __test__ = False  # not for pytest to collect
    _metadata = ["heading", "footnote"]  # noqa: RUF012  (pandas reads it from the class)
    heading: str
    footnote: str

    def __init__(
        self, *arguments: Any, heading: str = "", footnote: str = "", **keywords: Any
    ) -> None:
        super().__init__(*arguments, **keywords)
        self.heading = heading
        self.footnote = footnote

    @property
    def _constructor(self) -> type[TestTable]:
        return TestTable

    def copy(self, deep: bool = True) -> Self:  # type: ignore[misc]  # pandas-stubs say final
        """Copy the table with its metadata."""
        made = type(self)(super().copy(deep))
        for name in self._metadata:
            setattr(made, name, getattr(self, name))
        return made

    def to_text(self, digits: int = 5) -> str:
        """Format the table as R prints it, with this many significant digits."""
        cells, columns, has_stars = self._cells(digits)
        lines = self.heading.split("\n") if self.heading else []
        lines += matrix_lines(cells, [str(label) for label in self.index], columns, right=True)
        below = [*([STARS_LEGEND] if has_stars else []), *self._footnotes]
        lines += ["---", *below] if below else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return `to_text()`."""
        return self.to_text() if self._is_numeric() else super().__repr__()

    def _repr_html_(self) -> str | None:
        if not self._is_numeric():
            text: str | None = super()._repr_html_()  # type: ignore[misc]
            return text
        cells, columns, has_stars = self._cells(5)
        rows = [[str(label), *row] for label, row in zip(self.index, cells, strict=True)]
        heading = "<br>".join(html.escape(line) for line in self.heading.split("\n"))
        legend = html.escape(STARS_LEGEND) if has_stars else ""
        notes = "<br>".join(html.escape(line) for line in self._footnotes)
        parts = [heading, html_table(rows, ["", *columns]), legend, notes]
        return "".join(f"<div>{part}</div>" for part in parts if part)

    @property
    def _footnotes(self) -> list[str]:
        return self.footnote.split("\n") if self.footnote else []

    def _is_numeric(self) -> bool:
        return all(kind.kind in "iuf" for kind in self.dtypes)

    def _cells(self, digits: int) -> tuple[list[list[str]], list[str], bool]:
        """Format the table: cells, names of columns, and whether the last one has stars."""
        names = [str(name) for name in self.columns]
        values = self.to_numpy(dtype=np.float64)
        has_p = bool(names) and names[-1].startswith(("P(", "Pr("))
        tests = [j for j, name in enumerate(names) if name[1:] == " value" or name in _STATISTICS]
        last = len(names) - has_p
        zapped = [j for j in range(last) if j not in tests and not names[j].endswith("Df")]
        cells = format_coefficients(values, digits, (), tests, has_p, zapped, missing="")
        return with_stars(cells, names, values[:, -1] if has_p else None)


def with_stars(
    cells: Sequence[Sequence[str]], columns: Sequence[str], pvalues: NDArray[np.float64] | None
) -> tuple[list[list[str]], list[str], bool]:
    """Add a column of stars if any p-value deserves one.

    Returns
    -------
    tuple
        Cells, names of columns, and whether there are stars.
    """
    rows, names = [list(row) for row in cells], list(columns)
    if pvalues is None or not (pvalues < 0.1).any():
        return rows, names, False
    stars = significance_stars(pvalues)
    return [[*row, star] for row, star in zip(rows, stars, strict=True)], [*names, ""], True

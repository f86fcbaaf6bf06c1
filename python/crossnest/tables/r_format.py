"""Numbers, names and tables printed as R prints them.

R chooses digits for a whole vector: as few as show every element to at least so many significant
digits, in fixed notation unless scientific is narrower. The functions here make the same choices
from the same rules (R Core Team, *R Language Definition*, ``?format``, ``?print.default``,
``?printCoefmat``, ``?abbreviate``), so that a summary can be compared with R's line by line.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: R's default ``options(width)``: columns of a line.
LINE_WIDTH = 80
#: R's default ``options(digits)``.
DIGITS = 7
#: No more decimals than these, ever (R's ``R_dec_min_exponent`` guard for fixed notation).
MAX_DECIMALS = 22
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
#: What the stars mean, in R's words.
STARS_LEGEND = (
    "Signif. codes:  0 \u2018***\u2019 0.001 \u2018**\u2019 0.01 \u2018*\u2019 0.05 "
    "\u2018.\u2019 0.1 \u2018 \u2019 1"
)
#: ``deparse`` starts a new line at the first operator past this column.
DEPARSE_CUTOFF = 60


class _Decimal(NamedTuple):
    """How one number looks when rounded to the digits asked for."""

    negative: bool
    exponent: int  #: of ten, in scientific notation
    significant: int  #: significant digits left once trailing zeros are gone
    left: int  #: digits left of the point in fixed notation


def _decimal(x: float, digits: int) -> _Decimal:
    if x == 0:
        return _Decimal(False, 0, 1, 1)
    mantissa, exponent_text = f"{abs(x):.{digits - 1}e}".split("e")
    exponent = int(exponent_text)
    significant = len(mantissa.replace(".", "").rstrip("0"))
    # 9996 to three digits is 1e+04 in scientific notation, but 9996 in fixed: not a digit wider.
    fuzz = 0.5 * 10.0 ** -min(max(digits - exponent, 0), MAX_DECIMALS)
    widened = exponent > 0 and abs(x) < 10.0**exponent - fuzz
    return _Decimal(x < 0, exponent, significant, exponent + 1 - widened)


class NumberFormat(NamedTuple):
    """The common format of a vector.

    Attributes
    ----------
    decimals : int
        Digits right of the point.
    scientific : bool
        Whether an exponent is printed.
    width : int
        Columns R reserves for an element; now and then one more than any of them needs.
    """

    decimals: int
    scientific: bool
    width: int

    def __call__(self, x: float) -> str:
        """Format one number, padded to `width`."""
        if math.isnan(x):
            return "NaN".rjust(self.width)
        if math.isinf(x):
            return ("Inf" if x > 0 else "-Inf").rjust(self.width)
        return f"{x + 0.0:{self.width}.{self.decimals}{'e' if self.scientific else 'f'}}"


def number_format(x: Iterable[float], digits: int = DIGITS, nsmall: int = 0) -> NumberFormat:
    """Choose the common format of a vector as R's ``format`` does.

    Parameters
    ----------
    x : iterable of float
        The vector.
    digits : int
        Significant digits the element that needs most of them shows at least.
    nsmall : int
        Least number of decimals in fixed notation.
    """
    parts = [_decimal(v, digits) for v in x if math.isfinite(v)]
    if not parts:
        return NumberFormat(0, False, 0)
    sign = any(part.negative for part in parts)
    decimals = min(max(0, *(part.significant - part.left for part in parts)), MAX_DECIMALS)
    left = max(part.negative + max(part.left, 1) for part in parts)
    mantissa = max(part.significant for part in parts) - 1
    exponent_digits = 3 if any(abs(part.exponent) >= 100 for part in parts) else 2
    scientific_width = sign + 1 + (mantissa > 0) + mantissa + 2 + exponent_digits
    if left + (decimals > 0) + decimals > scientific_width:
        return NumberFormat(mantissa, True, scientific_width)
    decimals = max(decimals, nsmall)
    return NumberFormat(decimals, False, left + (decimals > 0) + decimals)


def format_numbers(x: Iterable[float], digits: int = DIGITS, nsmall: int = 0) -> list[str]:
    """Format a vector as R's ``format(x, digits, nsmall)``: common decimals, common width."""
    values = [float(v) for v in x]
    form = number_format(values, digits, nsmall)
    cells = [form(v) for v in values]
    width = max(map(len, cells), default=0)
    return [cell.rjust(width) for cell in cells]


def round_digits(x: float, digits: int) -> float:
    """Round as R (4.0.0 or later) does: to the nearer of the two neighbours in decimals.

    The neighbours are compared as the doubles they are, an exact tie goes to the even digit.
    """
    if not math.isfinite(x) or x == 0:
        return x
    if digits + math.log10(abs(x)) > 15:  # more digits than a double has
        return x
    power = 10.0**digits
    scaled = abs(x) * power
    if not math.isfinite(scaled):
        return x
    below, above = math.floor(scaled), math.ceil(scaled)
    down, up = abs(x) - below / power, above / power - abs(x)
    nearest = below if down < up or (down == up and below % 2 == 0) else above
    return math.copysign(nearest / power, x)


def zapsmall(x: Sequence[float], digits: int = DIGITS) -> list[float]:
    """Round a vector to `digits` significant digits of its largest element (R's ``zapsmall``)."""
    largest = max((abs(v) for v in x if not math.isnan(v)), default=0.0)
    if largest > 0 and math.isfinite(largest):
        digits = max(0, math.floor(digits - math.log10(largest) + 0.5))
    return [round_digits(v, digits) for v in x]


def format_coefficients(
    table: NDArray[np.float64],
    digits: int = 4,
    coefficients: Sequence[int] | None = None,
    tests: Sequence[int] | None = None,
    pvalues: bool = False,
    zapped: Sequence[int] = (),
    missing: str = "NaN",
) -> list[list[str]]:
    """Format a table of coefficients or tests as R's ``printCoefmat``.

    Estimates and standard errors share one format, so that their points line up. Test statistics
    share another, with one digit less; p-values have that of ``format.pval``; every other column
    has its own. A cell, not of a test, that its format would show as zero is formatted by itself.

    Parameters
    ----------
    table : (p, m) array
        Estimates, standard errors, ..., test statistics, perhaps p-values.
    digits : int
        Significant digits.
    coefficients, tests : sequence of int, optional
        Columns of estimates and standard errors, and of test statistics. If not given, the last
        column before the p-values is the test statistic and all before it are the former.
    pvalues : bool
        Whether the last column holds p-values.
    zapped : sequence of int
        Columns whose values are first rounded to `digits` digits of their largest.
    missing : str
        What to show for a value that is missing.

    Returns
    -------
    list of p lists of m str
    """
    table = table.copy()
    m = table.shape[1]
    tests = [m - 1 - pvalues] if tests is None else list(tests)
    coefficients = list(range(tests[0]) if coefficients is None else coefficients)
    for j in zapped:
        table[:, j] = zapsmall(table[:, j].tolist(), digits)
    others = [j for j in range(m - pvalues) if j not in {*coefficients, *tests}]
    cells = np.full(table.shape, "", dtype=object)
    cells[:, coefficients] = _coefficient_block(table[:, coefficients], digits)
    cells[:, tests] = _test_block(table[:, tests], digits)
    for j in others:
        given = ~np.isnan(table[:, j])
        cells[given, j] = format_numbers(table[given, j], digits)
    _show_alone(cells, table, [*coefficients, *others], digits)
    cells[np.isnan(table)] = missing
    if pvalues:
        known = ~np.isnan(table[:, -1])
        cells[known, -1] = format_pvalues(table[known, -1], _test_digits(digits))
    return [list(row) for row in cells]


def _coefficient_block(coef: NDArray[np.float64], digits: int) -> NDArray[np.object_]:
    sizes = np.abs(coef[np.isfinite(coef) & (coef != 0)])
    smallest = math.floor(math.log10(sizes.min())) if sizes.size else -1
    decimals = max(1, digits - (1 + smallest))
    return _common_format(coef, decimals, digits)


def _test_block(tests: NDArray[np.float64], digits: int) -> NDArray[np.object_]:
    return _common_format(tests, _test_digits(digits), digits)


def _common_format(x: NDArray[np.float64], decimals: int, digits: int) -> NDArray[np.object_]:
    cells = format_numbers([round_digits(v, decimals) for v in x.ravel()], digits)
    return np.array(cells, dtype=object).reshape(x.shape)


def _test_digits(digits: int) -> int:
    """Return the digits of test statistics (decimals) and p-values (significant digits)."""
    return max(1, min(5, digits - 1))


def _show_alone(
    cells: NDArray[np.object_], table: NDArray[np.float64], columns: Sequence[int], digits: int
) -> None:
    """Format again, with a digit less, what the common format made zero."""
    lost = [
        (i, j)
        for j in columns
        for i in range(len(table))
        if np.isfinite(table[i, j]) and table[i, j] != 0 and float(cells[i, j]) == 0
    ]
    alone = format_numbers([table[at] for at in lost], max(1, digits - 1))
    for at, cell in zip(lost, alone, strict=True):
        cells[at] = cell


def format_pvalues(p: Iterable[float], digits: int) -> list[str]:
    """Format p-values as R's ``format.pval``: ``< 2e-16`` for what is below machine precision."""
    values = [float(v) for v in p]
    eps = float(np.finfo(np.float64).eps)
    exponents = [math.floor(math.log10(v)) if v >= eps else None for v in values]
    cells = [""] * len(values)
    for wanted in (True, False):  # those in fixed notation, then those with exponents
        at = [
            i
            for i, e in enumerate(exponents)
            if e is not None and (e >= -3 or (e == -4 and digits > 1)) == wanted
        ]
        for i, cell in zip(at, format_numbers([values[i] for i in at], digits), strict=True):
            cells[i] = cell
    below = _below_precision(eps, digits, max(map(len, cells), default=0))
    return [cell or below for cell in cells]


def _below_precision(eps: float, digits: int, width: int) -> str:
    """Write "less than eps" about as wide as the other p-values (0: there are none)."""
    digits = max(1, digits - 2)
    if width and digits > 1 and digits + 6 > width:
        digits = max(1, width - 7)
    close = digits == 1 and width <= 6
    return f"<{'' if close else ' '}{format_numbers([eps], digits)[0]}"


def significance_stars(p: Iterable[float]) -> list[str]:
    """Return the stars of p-values, padded to a common width; none where one is missing."""
    stars = [next((s for bound, s in _STARS if value <= bound), "") for value in p]
    width = max(map(len, stars), default=0)
    return [symbols.ljust(width) for symbols in stars]


def display_width(text: str) -> int:
    """Count the columns `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def _pad(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def matrix_lines(
    cells: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    right: bool = False,
) -> list[str]:
    """Lay out a matrix of texts as R prints it, in as many panels as the line width needs.

    Parameters
    ----------
    cells : sequence of rows
    rows, columns : sequence of str
        Their names.
    right : bool
        Whether cells and column names are pushed to the right.
    """
    label = max(map(display_width, rows), default=0)
    widths = [
        max(display_width(text) for text in (name, *(row[j] for row in cells)))
        for j, name in enumerate(columns)
    ]
    lines = []
    for first, last in _panels(label, widths):
        for name, texts in [("", columns), *zip(rows, cells, strict=True)]:
            shown = [_pad(texts[j], widths[j], right) for j in range(first, last)]
            lines.append(" ".join([_pad(name, label, False), *shown]))
    return lines


def _panels(label: int, widths: Sequence[int]) -> list[tuple[int, int]]:
    """Split columns into runs that fit a line next to the row names."""
    panels = []
    first = 0
    while first < len(widths):
        last, used = first + 1, label + widths[first] + 1
        while last < len(widths) and used + widths[last] + 1 < LINE_WIDTH:
            used += widths[last] + 1
            last += 1
        panels.append((first, last))
        first = last
    return panels


def vector_lines(names: Sequence[str], cells: Sequence[str], gap: int = 1) -> list[str]:
    """Lay out a named vector as R prints it: names above values, `gap` blanks after each."""
    width = max(map(display_width, (*names, *cells)), default=0)
    per_line = max(1, LINE_WIDTH // (width + gap))
    lines = []
    for first in range(0, len(cells), per_line):
        for texts in (names, cells):
            shown = (_pad(text, width, True) for text in texts[first : first + per_line])
            lines.append("".join(text + " " * gap for text in shown))
    return lines


def fill_lines(pieces: Sequence[str], separator: str = " ") -> list[str]:
    """Join pieces, a new line where one would pass the width (R's ``cat(fill = TRUE)``)."""
    lines = [""]
    used = 0
    for i, piece in enumerate(pieces):
        width = display_width(piece)
        if i and used + width + len(separator) > LINE_WIDTH:
            lines.append("")
            used = 0
        lines[-1] += piece + (separator if i < len(pieces) - 1 else "")
        used += width + len(separator)
    return lines


#: Operators between blanks, loosest first, as R's grammar ranks them.
_PRECEDENCE = {"~": 1, "|": 2, "||": 2, "&": 3, "==": 4, "!=": 4, "<": 4, ">": 4, "<=": 4, ">=": 4}
_PRECEDENCE |= {"+": 5, "-": 5, "*": 6, "%in%": 7}
_TOKEN = re.compile(
    r"""`[^`]*`|"[^"]*"|'[^']*'|\d+\.?\d*[eE][+-]?\d+|[\w.]+|%\w*%|\*\*|\|\||[=!<>]=|\S"""
)
_WORD = re.compile(r"[\w.]+")


def deparse_formula(text: str) -> list[str]:
    """Write a formula as R's ``deparse``: blanks around operators, lines of some 60 columns.

    A line ends after the first operator or comma past `DEPARSE_CUTOFF`; the next one is indented
    by four blanks for each operator whose right side it is in the middle of.
    """
    lines = [""]
    groups: list[list[tuple[int, bool]]] = [[]]  # per bracket: operators open, and if they broke
    previous = ""
    for token in _TOKEN.findall(text):
        is_unary = previous in ("", "(", "[", "{", ",") or previous in _PRECEDENCE
        if token == ",":
            lines[-1] += ", "
            _maybe_break(lines, groups, 0)
        elif token in _PRECEDENCE and not (is_unary and token in "+-"):
            lines[-1] += f" {token} "
            _maybe_break(lines, groups, _PRECEDENCE[token])
        elif token == "=":
            lines[-1] += " = "
        else:
            lines[-1] += " " * bool(_WORD.fullmatch(previous) and _WORD.fullmatch(token)) + token
            _open_or_close(token, groups)
        previous = token
    return lines


def _open_or_close(token: str, groups: list[list[tuple[int, bool]]]) -> None:
    if token in ("(", "[", "{"):
        groups.append([])
    elif token in (")", "]", "}") and len(groups) > 1:
        groups.pop()


def _maybe_break(lines: list[str], groups: list[list[tuple[int, bool]]], precedence: int) -> None:
    """Start a line if the last one is long enough, after an operator or (precedence 0) a comma."""
    pending = groups[-1]
    broke = False
    while pending and pending[-1][0] >= precedence:  # their right sides are complete
        closed = pending.pop()
        broke = precedence == 0 and closed == (0, True)
    long = len(lines[-1]) > DEPARSE_CUTOFF
    pending.append((precedence, broke or long))
    if long:
        depth = sum(was_broken for group in groups for _, was_broken in group)
        lines.append(" " * 4 * depth)


def abbreviate(names: Sequence[str], minlength: int) -> list[str]:
    """Abbreviate names to at least `minlength` characters, distinct ones staying distinct.

    R's ``abbreviate``: lower case vowels go first, from the end, then other lower case letters,
    then anything but the first character of each word. Names whose abbreviations collide are
    abbreviated again, one character longer.
    """
    short = {name: name for name in names}
    again = list(short)
    while again:
        short.update({name: _shorten(name.strip(" "), minlength) for name in again})
        counts = Counter(short.values())
        minlength += 1
        again = [name for name in short if counts[short[name]] > 1]
    return [short[name] for name in names]


def _shorten(name: str, minlength: int) -> str:
    """Abbreviate one name; the first character of a word is the last to go."""
    text = list(name)
    for removable in (_vowel_at_end, _vowel, _lower_at_end, _lower, _any):
        for i in range(len(text) - 1, 0, -1):
            if sum(not c.isspace() for c in text[1:]) < minlength:
                break
            if not text[i - 1].isspace() and removable(text, i):
                del text[i]
    if len(text) > minlength:
        text = text[:1] + [c for c in text[1:] if not c.isspace()]
    return "".join(text)


def _ends_word(text: list[str], i: int) -> bool:
    return i + 1 == len(text) or text[i + 1].isspace()


def _vowel(text: list[str], i: int) -> bool:
    return text[i] in "aeiou"


def _vowel_at_end(text: list[str], i: int) -> bool:
    return _vowel(text, i) and _ends_word(text, i)


def _lower(text: list[str], i: int) -> bool:
    return text[i].islower()


def _lower_at_end(text: list[str], i: int) -> bool:
    return _lower(text, i) and _ends_word(text, i)


def _any(text: list[str], i: int) -> bool:
    return not text[i].isspace()

"""Tables as HTML, which notebooks show."""

from __future__ import annotations

import html
from collections.abc import Sequence


def html_table(cells: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """Write formatted cells as an HTML table."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell.strip())}</td>" for cell in row) + "</tr>"
        for row in cells
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

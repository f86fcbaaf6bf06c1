"""The documentation: its code runs and prints what stands there, its links lead somewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import doctest
import io
import re
from pathlib import Path

import pytest

import crossnest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
#: Packages that a page needs beyond what the package itself requires.
EXTRAS = {
    "from_lm_to_lmer": ["matplotlib"],
    "neighbours": ["marginaleffects", "maketables", "great_tables", "sklearn", "polars"],
}
# A block of code, with the block of text that follows it at once.
_BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.S | re.M)
# The gallery has a test of its own.
WITH_CODE = [page for page in PAGES if _BLOCK.search(page.read_text("utf-8"))]
WITH_CODE = [page for page in WITH_CODE if page.stem != "gallery"]


def tidy(text):
    """Leave out what a reader does not see: blanks at the ends of lines, and the last newline."""
    return "\n".join(line.rstrip() for line in text.expandtabs().rstrip().splitlines())


class Checker(doctest.OutputChecker):
    def check_output(self, want, got, optionflags):
        return super().check_output(tidy(want) + "\n", tidy(got) + "\n", optionflags)


def mark_blank_lines(code):
    """Mark the blank lines of outputs, which doctest takes for their ends."""
    return re.sub(r"^\n(?=\n*(?!>>>)[^\n])", "<BLANKLINE>\n", code, flags=re.M)


def run_session(code, variables, name):
    """Run a block with prompts; give what differs."""
    test = doctest.DocTestParser().get_doctest(mark_blank_lines(code), {}, name, name, 0)
    test.globs = variables
    report = []
    runner = doctest.DocTestRunner(checker=Checker(), verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    return "".join(report)


def run_script(code, variables, name):
    """Run a block without prompts; give what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), variables)
    return tidy(printed.getvalue())


@pytest.mark.filterwarnings("ignore:.*get_categories:DeprecationWarning")
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_code_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    for package in EXTRAS.get(page.stem, []):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    variables = {"__name__": "page"}
    for code, text in _BLOCK.findall(page.read_text("utf-8")):
        if code.startswith(">>>"):
            assert run_session(code, variables, page.name) == ""
        else:
            printed = run_script(code, variables, page.name)
            assert tidy(text) in printed
            assert bool(text) == bool(printed)


def without_code(page):
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.S | re.M)


def anchors(page):
    """Name the headings of a page as GitHub does."""
    headings = re.findall(r"^#+ (.*)$", without_code(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_readme_links_every_page():
    links = re.findall(r"\]\(docs/(\w+\.md)\)", (ROOT / "README.md").read_text("utf-8"))
    assert set(links) == {page.name for page in ROOT.glob("docs/*.md")}


def test_the_guide_names_everything_public():
    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    model = crossnest.LinearMixedModel
    names = {*crossnest.__all__, *dir(model)} | {item.name for item in dataclasses.fields(model)}
    missing = {name for name in names if not name.startswith("_")} - set(re.findall(r"\w+", guide))
    assert not missing

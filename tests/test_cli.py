from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys

import pytest

import crossnest
from crossnest.cli import main

FORMULA = "Reaction ~ Days + (Days | Subject)"


def run(capsys, *arguments):
    """Return exit status, output and errors of a command."""
    try:
        status = main(arguments)
    except SystemExit as left:
        status = left.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "sleep.csv"
    crossnest.datasets.sleepstudy().to_csv(path, index=False)
    return path


def test_fit_prints_the_summary(capsys):
    status, out, err = run(capsys, "fit", FORMULA, "sleepstudy")
    assert (status, err) == (0, "")
    assert "   Data: sleepstudy\n" in out
    assert "REML criterion at convergence: 1743.6" in out


def test_options_of_fit(capsys, tmp_path):
    data = crossnest.datasets.sleepstudy().assign(w=2.0, o=1.0)
    path = tmp_path / "data.csv.gz"
    data.to_csv(path, index=False)
    options = ("--ml", "--weights", "w", "--offset", "o")
    status, out, _ = run(capsys, "fit", FORMULA, str(path), *options)
    assert status == 0
    assert "maximum likelihood" in out
    assert "\nWeights: w\n Offset: o\n" in out


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_files(capsys, tmp_path, suffix):
    if suffix != ".csv":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"sleep{suffix}"
    data = crossnest.datasets.sleepstudy()
    data.to_csv(path, index=False) if suffix == ".csv" else getattr(data, f"to_{suffix[1:]}")(path)
    status, out, err = run(capsys, "fit", FORMULA, str(path))
    assert (status, err) == (0, "")
    assert "1743.6" in out


def test_json(capsys, tmp_path):
    path = tmp_path / "out.json"
    status, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--json", str(path))
    assert status == 0
    assert "Linear mixed model" in out
    written = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    model = crossnest.lmer(FORMULA, crossnest.datasets.sleepstudy())
    assert written["objective"] == pytest.approx(model.objective)
    assert written["theta"] == pytest.approx(model.theta.to_dict())
    assert [row["term"] for row in written["fixef"]] == ["(Intercept)", "Days"]
    assert written["fixef"][1]["std_error"] == pytest.approx(model.bse["Days"])
    assert written["fixef"][1]["p_value"] == pytest.approx(model.pvalues["Days"])
    assert written["var_corr"][0]["var2"] is None
    assert written["ranef"]["Subject"]["levels"][0] == "308"
    assert len(written["ranef"]["Subject"]["values"]) == 18
    assert written["converged"] is True
    assert written["warnings"] == []


def test_every_key_of_the_json_is_documented(capsys):
    _, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--json", "-")
    _, documented, _ = run(capsys, "fit", "--help")
    for key in json.loads(out):
        assert key in documented


def test_json_to_the_screen_replaces_the_summary(capsys):
    _, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--json", "-")
    assert json.loads(out)["nobs"] == 180


def test_json_has_no_nan(capsys):
    status, out, err = run(capsys, "fit", "Yield ~ 1 + (1 | Batch)", "dyestuff2", "--json", "-")
    assert status == 0
    assert "NaN" not in out
    assert json.loads(out)["singular"] is True
    assert err.startswith("crossnest: warning: the fit is singular in (1 | Batch)")
    assert err.count("\n") == 1
    assert json.loads(out)["warnings"] == [err.removeprefix("crossnest: warning: ").strip()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "Reaction ~ Days", "sleepstudy"], "no random-effects term"),
        (["fit", "Reaction ~ Dayz + (1 | Subject)", "sleepstudy"], "Dayz"),
        (["fit", FORMULA, "sleepstudie"], "did you mean 'sleepstudy'?"),
        (["fit", FORMULA, "nowhere.csv"], "cannot read nowhere.csv: there is no such file"),
        (["fit", FORMULA, "nowhere.parquet"], "nowhere.parquet"),
        (["fit", FORMULA, "data.xlsx"], "expected a file of .csv"),
        (["fit", FORMULA, "sleepstudy", "--weights", "ww"], "ww"),
        (["fit", FORMULA, "sleepstudy", "--json", "no/such/dir/x.json"], "no such directory"),
        (["fit", FORMULA], "DATA"),
        (["fit", FORMULA, "sleepstudy", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "error: " in err
    assert message in err


def test_unreadable_files(capsys, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_bytes(b'a,b\n1,2\n3,4,5,6\n"')
    status, _, err = run(capsys, "fit", FORMULA, str(path))
    assert status == 2
    assert err.count("\n") == 1


def test_a_target_that_cannot_be_written(capsys, tmp_path):
    status, _, err = run(capsys, "fit", FORMULA, "sleepstudy", "--json", str(tmp_path))
    assert status == 2
    assert "cannot write" in err


def test_a_failed_fit_is_status_1(capsys, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("needs 80 GB,\nthere are 8 GB")

    monkeypatch.setattr("crossnest.cli.lmer", fail)
    status, _, err = run(capsys, "fit", FORMULA, "sleepstudy")
    assert status == 1
    assert err == "crossnest: error: needs 80 GB, there are 8 GB\n"


def test_no_convergence_is_status_1(capsys, monkeypatch):
    def give_up(*arguments, **options):
        return crossnest.lmer(*arguments, **options, control=crossnest.Control(max_evaluations=2))

    monkeypatch.setattr("crossnest.cli.lmer", give_up)
    status, out, err = run(capsys, "fit", FORMULA, "sleepstudy")
    assert status == 1
    assert "not converged" in out
    assert "crossnest: warning: not converged" in err


def test_interrupted(capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("crossnest.cli.lmer", interrupt)
    status, _, err = run(capsys, "fit", FORMULA, "sleepstudy")
    assert (status, err) == (130, "crossnest: error: interrupted\n")


def test_datasets_are_listed(capsys):
    status, out, _ = run(capsys, "datasets")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == crossnest.datasets.names()


def test_version_and_module():
    out = subprocess.run(
        [sys.executable, "-m", "crossnest", "--version"], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == f"crossnest {crossnest.__version__}"


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m crossnest fit '{FORMULA}' sleepstudy | true"
    out = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert out.stderr == ""


SLEEP = crossnest.datasets.sleepstudy()
TEXT = SLEEP.to_csv(index=False)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("tabs.tsv", TEXT.replace(",", "\t"), ()),
        ("spaces.txt", TEXT.replace(",", "  "), ()),
        ("semicolons.csv", TEXT.replace(",", ";"), ("--sep", ";")),
        ("tabs.csv", TEXT.replace(",", "\t"), ("--sep", "tab")),
        ("decimal.csv", TEXT.replace(",", ";").replace(".", ","), ("--sep=;", "--decimal=,")),
        ("blanks.csv", TEXT.replace(",", ", "), ()),
        ("bom.csv", "\ufeff" + TEXT, ()),
        (
            "latin.csv",
            TEXT.replace(",308\n", ",Zoë\n").encode("latin-1"),
            ("--encoding", "latin-1"),
        ),
        ("utf16.csv", TEXT.encode("utf-16"), ("--encoding", "utf-16")),
        ("rows_of_r.csv", SLEEP.to_csv().removeprefix(","), ()),
        ("trailing.csv", TEXT.replace("\n", ",\n"), ()),
    ],
)
def test_texts_of_columns(capsys, tmp_path, name, content, options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, out, err = run(capsys, "fit", FORMULA, str(path), *options)
    assert (status, err) == (0, "")
    assert "1743.6" in out


@pytest.mark.parametrize("some", [False, True])
def test_trailing_commas_shifted_the_columns(capsys, tmp_path, some):
    """Pandas took the first column for labels of the rows; the exit status was 0."""
    header, *rows = TEXT.splitlines()
    rows = [row + "," if not some or i % 2 == 0 else row for i, row in enumerate(rows)]
    path = tmp_path / "trailing.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    status, out, err = run(capsys, "fit", FORMULA, str(path))
    assert (status, err) == (0, "")
    assert "1743.6" in out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "it is empty"),
        ("semicolons.csv", TEXT.replace(",", ";").encode(), "specify the separator with --sep ';'"),
        ("decimal.csv", TEXT.replace(",", ";").replace(".", ",").encode(), "--sep ';'"),
        ("tabs.csv", TEXT.replace(",", "\t").encode(), "specify the separator with --sep tab"),
        ("more.csv", TEXT.replace("0,308\n", "0,308,,what\n").encode(), "more fields than the 3"),
        ("longer.csv", (TEXT + "1,2,3,4\n").encode(), "Expected 3 fields in line 182, saw 4"),
        (
            "latin.csv",
            TEXT.replace(",308\n", ",Zoë\n").encode("latin-1"),
            "it is not text in UTF-8",
        ),
        ("utf16.csv", TEXT.encode("utf-16"), "use --encoding utf-16"),
        ("binary.csv", bytes(range(256)) * 9, "it is binary"),
        ("sheet.csv", b"PK\x03\x04" + bytes(99), "a zip archive or spreadsheet"),
        ("packed.csv.gz", TEXT.encode(), "cannot read"),
        ("broken.parquet", TEXT.encode(), "cannot read"),
    ],
)
def test_what_is_no_text_of_columns(capsys, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    status, out, err = run(capsys, "fit", FORMULA, str(path))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"cannot read {path}: " in err
    assert message in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sep", "ab"), "the separator must be one character"),
        (("--encoding", "utf-9"), "there is no encoding 'utf-9'"),
        (("--decimal", ",,"), "decimal"),
    ],
)
def test_options_of_texts_that_make_no_sense(capsys, csv, options, message):
    status, _, err = run(capsys, "fit", FORMULA, str(csv), *options)
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


def test_a_directory_is_no_file(capsys, tmp_path):
    (tmp_path / "data.csv").mkdir()
    status, _, err = run(capsys, "fit", FORMULA, str(tmp_path / "data.csv"))
    assert status == 2
    assert "Is a directory" in err


def shell(command, data=TEXT, **environment):
    """Run a command in a shell and give its status, output and errors."""
    command = command.replace("crossnest", f"{sys.executable} -m crossnest", 1)
    done = subprocess.run(
        ["sh", "-c", command],
        input=data.encode(),
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_standard_input(capsys, monkeypatch):
    for text in (TEXT, ""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        status, out, err = run(capsys, "fit", FORMULA, "-")
        if text:
            assert (status, err) == (0, "")
            assert "1743.6" in out
    assert (status, err) == (2, "crossnest: error: cannot read standard input: it is empty\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk(capsys):
    message = "crossnest: error: cannot write the output: No space left on device\n"
    for command in (f"fit '{FORMULA}' -", "--version"):
        status, _, err = shell(f"crossnest {command} > /dev/full")
        assert (status, err) == (1, message)
    status, _, err = run(capsys, "fit", FORMULA, "sleepstudy", "--json", "/dev/full")
    assert (status, err.count("\n")) == (2, 1)
    assert "cannot write /dev/full: No space left on device" in err


def test_results_on_a_full_disk_leave_the_old_file(capsys, tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    path.write_text("old", encoding="utf-8")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    status, _, err = run(capsys, "fit", FORMULA, "sleepstudy", "--json", str(path))
    assert (status, path.read_text(encoding="utf-8")) == (2, "old")
    assert err == f"crossnest: error: cannot write {path}: No space left on device\n"


def test_output_that_is_closed():
    status, _, err = shell(f"crossnest fit '{FORMULA}' - >&-")
    assert (status, err) == (1, "crossnest: error: standard output is closed\n")


def test_an_ascii_terminal():
    """A Greek name ended in a traceback of the codec."""
    text = TEXT.replace("Days", "β").replace(",308\n", ",Zoë\n")
    command = "crossnest fit 'Reaction ~ β + (β | Subject)' -"
    status, out, err = shell(command, text, PYTHONIOENCODING="ascii")
    assert (status, err) == (0, "")
    assert rb"Reaction ~ \u03b2 + (\u03b2 | Subject)" in out
    status, out, err = shell(command + " --json -", text, PYTHONIOENCODING="ascii")
    assert status == 0
    assert json.loads(out)["formula"] == "Reaction ~ β + (β | Subject)"


@pytest.mark.parametrize("ddf", ["kenward-roger", "none"])
def test_degrees_of_freedom(capsys, ddf):
    _, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--ddf", ddf, "--json", "-")
    days = json.loads(out)["fixef"][1]
    assert days["t_value"] == pytest.approx(6.7715, abs=1e-4)
    assert (days["df"] is None and days["p_value"] is None) == (ddf == "none")
    _, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--ddf", ddf)
    assert ("Kenward-Roger's method" in " ".join(out.split())) == (ddf == "kenward-roger")

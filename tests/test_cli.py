from __future__ import annotations

import json
import subprocess
import sys

import pytest

import crossnest
from crossnest.cli import main

FORMULA = "Reaction ~ Days + (Days | Subject)"


def run(capsys, *arguments):
    """Give exit status, output and errors of a command."""
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


@pytest.mark.parametrize("ddf", ["kenward-roger", "none"])
def test_degrees_of_freedom(capsys, ddf):
    _, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--ddf", ddf, "--json", "-")
    days = json.loads(out)["fixef"][1]
    assert days["t_value"] == pytest.approx(6.7715, abs=1e-4)
    assert (days["df"] is None and days["p_value"] is None) == (ddf == "none")
    _, out, _ = run(capsys, "fit", FORMULA, "sleepstudy", "--ddf", ddf)
    assert ("Kenward-Roger's method" in " ".join(out.split())) == (ddf == "kenward-roger")

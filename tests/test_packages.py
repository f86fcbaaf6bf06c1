"""The packages of the library: what is installed, what it shows, and who can build against it."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sysconfig
from pathlib import Path

import pytest

from building import ROOT, build_elsewhere, build_program, run, tool

VERSION = importlib.metadata.version("crossnest")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
HEADERS = ROOT / "cpp/include/crossnest"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "cpp").is_dir(), reason="the C++ sources are not here"),
]

#: Prints the criterion, theta and beta to the last bit.
PROGRAM_IN_C = r"""
#include <crossnest/crossnest.h>
#include <stdio.h>

static int32_t code[120];
static double X[240], y[120];

int main(void) {
  const double* columns[2] = {NULL, X + 120};
  double value, theta[3], beta[2];
  cn_design* design = NULL;
  cn_model* model = NULL;
  cn_response* response = NULL;
  cn_fit* fit = NULL;
  for (int i = 0; i < 120; ++i) {
    code[i] = (i * 7) % 12;
    X[i] = 1.0;
    X[120 + i] = (i * 37 % 101) / 50.0 - 1.0;
    y[i] = 3.0 + code[i] * 0.25 + X[120 + i] * (code[i] % 3) + (i * 53 % 97) / 97.0;
  }
  if (cn_design_new(120, 2, X, &design) || cn_design_add_factor(design, code, 12) ||
      cn_design_add_term(design, 0, 2, columns, "unstructured") ||
      cn_model_new(design, NULL, &model) || cn_response_new(model, y, NULL, &response) ||
      cn_fit_new(response, NULL, NULL, 0, &fit) || cn_fit_get_double(fit, "objective", &value) ||
      cn_fit_get_array(fit, "theta", theta, 3) || cn_fit_get_array(fit, "beta", beta, 2)) {
    fprintf(stderr, "%s\n", cn_last_error());
    return 1;
  }
  printf("%s %a %a %a %a %a %a", cn_version(), value, theta[0], theta[1], theta[2], beta[0],
         beta[1]);
  cn_fit_free(fit);
  cn_response_free(response);
  cn_model_free(model);
  cn_design_free(design);
  return 0;
}
"""

#: The same by the C++ library; values, vectors, strings and exceptions cross the border.
PROGRAM_IN_CPP = r"""
#include <crossnest/fit.hpp>
#include <crossnest/version.hpp>
#include <cstdio>
#include <stdexcept>

int main() {
  using namespace crossnest;
  constexpr int n = 120;
  std::vector<Level> code(n);
  std::vector<double> X(2 * n, 1.0), y(n);
  for (int i = 0; i < n; ++i) {
    code[i] = (i * 7) % 12;
    X[n + i] = (i * 37 % 101) / 50.0 - 1.0;
    y[i] = 3.0 + code[i] * 0.25 + X[n + i] * (code[i] % 3) + (i * 53 % 97) / 97.0;
  }
  Design design;
  design.n = n;
  design.p = 2;
  design.X = X.data();
  design.factors = {{code.data(), 12}};
  design.terms = {{0, {nullptr, X.data() + n}, "no such structure"}};
  try {
    const Model none(design);
    return 1;
  } catch (const std::invalid_argument&) {
    design.terms[0].covariance = "unstructured";
  }
  const Model model(design);
  const Response response = model.read(y.data());
  Evaluator evaluator(model);
  const Fit found = fit(evaluator, response, true);
  std::printf("%s %a", version(), found.estimates.objective);
  for (const double value : found.estimates.theta) std::printf(" %a", value);
  for (const double value : found.estimates.beta) std::printf(" %a", value);
}
"""


#: Two crossed factors, large enough for the kernels of a BLAS to be called.
CROSSED = r"""
#include <crossnest/fit.hpp>
#include <crossnest/kernels.hpp>
#include <cstdio>

int main() {
  using namespace crossnest;
  constexpr int n = 4000;
  std::vector<Level> first(n), second(n);
  std::vector<double> X(n, 1.0), y(n), gradient;
  for (int i = 0; i < n; ++i) {
    first[i] = i % 400;
    second[i] = (i * 7 + i / 400 * 31) % 300;
    y[i] = first[i] % 10 * 0.3 + second[i] % 7 * 0.5 + i * 53 % 97 / 97.0;
  }
  Design design;
  design.n = n;
  design.p = 1;
  design.X = X.data();
  design.factors = {{first.data(), 400}, {second.data(), 300}};
  design.terms = {{0, {nullptr}, "unstructured"}, {1, {nullptr}, "unstructured"}};
  const Model model(design);
  const Response response = model.read(y.data());
  Evaluator evaluator(model);
  const double value = evaluator.gradient(response, {0.9, 1.1}, true, gradient);
  std::printf("%s %.15g", default_kernels().name, value);
  for (const double g : gradient) std::printf(" %.15g", g);
}
"""


@pytest.fixture(scope="session")
def printed(prefix, tmp_path_factory):
    """What both programs print, built without any flags."""
    folder = tmp_path_factory.mktemp("plain")
    return run(build_program(folder, PROGRAM_IN_CPP, prefix))


def declared():
    """Return the functions that the header declares."""
    return set(re.findall(r"^CN_API [^(]*?(cn_\w+)\(", (HEADERS / "crossnest.h").read_text(), re.M))


def c_library(prefix):
    """Return the file of the shared C library."""
    (found,) = (path for path in prefix.rglob("libcrossnest_c.*") if not path.is_symlink())
    return found


def test_c_library_shows_its_interface_alone(prefix):
    listing = run(tool("nm"), "-D", "--defined-only", c_library(prefix))
    assert {line.split()[-1] for line in listing.splitlines()} == declared()


def test_c_library_is_named_after_its_abi(prefix, tmp_path):
    """A program never loads a library whose functions mean something else."""
    text = (
        "#include <crossnest/crossnest.h>\n"
        "#include <stdio.h>\n"
        'int main(void) { printf("%d", (int)cn_abi_version()); }\n'
    )
    program = build_program(
        tmp_path, text, prefix, target="crossnest::c", components="COMPONENTS c"
    )
    assert c_library(prefix).name == f"libcrossnest_c.so.{run(program)}"


def test_programs_in_c_and_cpp_print_the_same_bits(printed, prefix, tmp_path):
    program = build_program(tmp_path, PROGRAM_IN_C, prefix, target="crossnest::c")
    assert run(program) == printed
    assert printed.startswith(VERSION)


def runs_here(flag):
    """Say whether this machine's processor has some instructions."""
    processor = Path("/proc/cpuinfo")
    return processor.is_file() and f" {flag} " in processor.read_text()


@pytest.mark.parametrize("flag", ["avx2", "avx512f"])
def test_programs_for_other_processors_use_the_portable_library(printed, prefix, tmp_path, flag):
    """Nothing in the headers depends on the instructions that a program is compiled for."""
    program = build_program(
        tmp_path, PROGRAM_IN_CPP, prefix, f"-DCMAKE_CXX_FLAGS=-O2 -m{flag} -ffp-contract=off"
    )
    if not runs_here(flag):
        pytest.skip(f"the program was built, but this processor has no {flag}")
    assert run(program) == printed


#: Before main(): uses an Eigen of the program's own.
WITH_EIGEN = r"""
#include <Eigen/Eigenvalues>

double of_eigen(int n) {
  const Eigen::MatrixXd A = Eigen::MatrixXd::Random(n, n), S = A * A.transpose();
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(S).eigenvalues().sum() - S.trace();
}

"""


@pytest.mark.parametrize("flag", ["avx2", "avx512f"])
def test_programs_may_have_an_eigen_of_their_own(printed, prefix, tmp_path, flag):
    """One for another processor has the same names: none of ours may stand for one of those."""
    eigen = Path(sysconfig.get_path("purelib"), "cmeel.prefix/include/eigen3")
    if not eigen.is_dir():
        pytest.skip("cmeel-eigen is not installed")
    start = "int main() {\n"
    check = "  if (!(of_eigen(60) < 1)) return 2;\n"
    text = PROGRAM_IN_CPP.replace(start, WITH_EIGEN + start + check)
    program = build_program(
        tmp_path, text, prefix, f"-DCMAKE_CXX_FLAGS=-O1 -m{flag} -mfma -ffp-contract=off -I{eigen}"
    )
    symbols = run(tool("nm"), "-C", program)
    assert " Eigen::" in symbols
    assert " crossnest_eigen::" in symbols
    if not runs_here(flag):
        pytest.skip(f"the program was built, but this processor has no {flag}")
    assert run(program) == printed


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_headers_give_no_warnings(prefix, tmp_path, compiler, standard):
    text = "".join(
        f"#include <crossnest/{path.name}>\n"
        for path in sorted((prefix / "include/crossnest").iterdir())
    )
    (tmp_path / "all.cpp").write_text(text)
    run(tool(compiler), f"-std={standard}", *WARNINGS, "-I", prefix / "include", "-fsyntax-only",
        tmp_path / "all.cpp")  # fmt: skip


@pytest.mark.parametrize("standard", ["c99", "c11", "c2x"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_header_gives_no_warnings(prefix, tmp_path, compiler, standard):
    (tmp_path / "all.c").write_text("#include <crossnest/crossnest.h>\n")
    run(tool(compiler), f"-std={standard}", *WARNINGS, "-Wstrict-prototypes", "-I",
        prefix / "include", "-fsyntax-only", tmp_path / "all.c")  # fmt: skip


def test_other_compilers_link_the_library(printed, prefix, tmp_path):
    """What GCC built serves a program that Clang builds, and in C++20."""
    compiler = tool("clang++")
    program = build_program(
        tmp_path, PROGRAM_IN_CPP, prefix,
        f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_CXX_STANDARD=20",
    )  # fmt: skip
    assert run(program) == printed


def test_no_compiler_flag_of_ours_leaks(prefix, tmp_path):
    build_program(tmp_path, PROGRAM_IN_CPP, prefix, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    (command,) = json.loads((tmp_path / "build/compile_commands.json").read_text())
    flags = {word.partition("=")[0] for word in command["command"].split() if word[0] == "-"}
    assert flags <= {"-isystem", "-std", "-pthread", "-o", "-c"}


def test_components(cpp_build, prefix, tmp_path):
    """A project of C alone finds the C library where nothing else is installed."""
    only_c = tmp_path / "only_c"
    for component in ("c", "c_link"):
        run("cmake", "--install", cpp_build, "--prefix", only_c, "--component", component)
    assert not [*only_c.rglob("*.hpp"), *only_c.rglob("*.a")]
    (tmp_path / "c").mkdir()
    wanted = {"target": "crossnest::c", "components": "COMPONENTS c"}
    build_program(tmp_path / "c", PROGRAM_IN_C, only_c, **wanted)
    with pytest.raises(AssertionError, match='the components c and cpp; "cpp" is not installed'):
        build_program(
            tmp_path / "c", PROGRAM_IN_C, only_c, **wanted | {"components": "COMPONENTS cpp"}
        )


def test_pkg_config(printed, prefix, tmp_path):
    found = {"PKG_CONFIG_PATH": prefix / "lib/pkgconfig"}
    for name, compiler, file, text in (
        ("crossnest", "c++", "main.cpp", PROGRAM_IN_CPP),
        ("crossnest_c", "cc", "main.c", PROGRAM_IN_C),
    ):
        (tmp_path / file).write_text(text)
        flags = run(tool("pkg-config"), "--cflags", "--libs", name, **found).split()
        run(tool(compiler), tmp_path / file, "-o", tmp_path / name, *flags)
        assert run(tmp_path / name, LD_LIBRARY_PATH=prefix / "lib") == printed
        assert run(tool("pkg-config"), "--modversion", name, **found).strip() == VERSION


def test_part_of_another_project(printed, tmp_path):
    """FetchContent builds a shared library in a project that installs nothing of ours."""
    (tmp_path / "main.cpp").write_text(PROGRAM_IN_CPP)
    build_elsewhere(
        ROOT / "tests/cpp/fetching", tmp_path / "build", sysconfig.get_path("purelib"),
        f"-DFETCHCONTENT_SOURCE_DIR_CROSSNEST={ROOT}", f"-DPROGRAM={tmp_path / 'main.cpp'}",
        target="program",
    )  # fmt: skip
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "prefix")
    assert [path.name for path in (tmp_path / "prefix").rglob("*") if path.is_file()] == ["program"]
    objective, right = (
        float.fromhex(text.split()[1]) for text in (run(tmp_path / "build/program"), printed)
    )
    assert objective == pytest.approx(right, rel=1e-12)


@pytest.fixture
def prefix_with_blas(cpp_build, tmp_path):
    """Install the library with CROSSNEST_BLAS, for which one file is compiled anew."""
    try:
        run("cmake", "-DCROSSNEST_BLAS=ON", cpp_build)
    except AssertionError as error:
        if "Could NOT find" not in str(error):
            raise
        pytest.skip("no BLAS and LAPACK to link with")
    else:
        run("cmake", "--build", cpp_build, "--target", "crossnest", "crossnest_c")
        run("cmake", "--install", cpp_build, "--prefix", tmp_path / "moved")
        yield tmp_path / "moved"
    finally:
        run("cmake", "-DCROSSNEST_BLAS=OFF", cpp_build)


def test_kernels_of_a_blas_give_the_same_numbers(prefix, prefix_with_blas, tmp_path):
    numbers = []
    for name, place in (("eigen", prefix), ("blas", prefix_with_blas)):
        (tmp_path / name).mkdir()
        program = build_program(tmp_path / name, CROSSED, place)
        kernels, *values = run(program).split()
        assert kernels == name
        numbers.append([float(value) for value in values])
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-9, abs=1e-9)

#!/usr/bin/env bash
# Runs the tests with the oldest versions of all dependencies that pyproject.toml declares, or with
# the newest ones on other versions of Python.
#
#   tests/lowest_versions.sh                         # oldest versions, on the oldest Python
#   tests/lowest_versions.sh --newest 3.12 3.13      # newest versions, on each of these Pythons
#   tests/lowest_versions.sh -- -m "not slow"        # what follows -- goes to pytest
#
# Needs a C++17 compiler, a package index that pip reaches, and the Pythons asked for (uv looks for
# them, and downloads them where it can). The extra `marginaleffects` is left out of the oldest
# versions: what it depends on needs a newer NumPy than crossnest.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
resolution=lowest-direct
extras=plot,polars,pyarrow,maketables,sklearn,statsmodels
pythons=()
while (($#)); do
  case $1 in
    --newest) resolution=highest extras=test ;;
    --) shift && break ;;
    *) pythons+=("$1") ;;
  esac
  shift
done
((${#pythons[@]})) || pythons=("$(sed -n 's/^requires-python = ">=\(.*\)"/\1/p' "$root/pyproject.toml")")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
tar -C "$root" --exclude=./.git --exclude=./.venv --exclude=./build --exclude=./dist \
  --exclude='*.so' -cf - . | tar -C "$work/tree" -xf -
cd "$work/tree"
python3 -m venv "$work/uv"
"$work/uv/bin/pip" install --quiet uv
uv=$work/uv/bin/uv

# The tools of the tests, without the extras.
python3 - >"$work/tools.txt" <<'PYTHON'
import re
from pathlib import Path

extra = re.search(r"^test = \[(.*?)^\]", Path("pyproject.toml").read_text(), re.M | re.S)[1]
print(*[one for one in re.findall(r'"(.*?)"', extra) if "crossnest" not in one], sep="\n")
PYTHON

# Matplotlib 3.8 calls functions by names that newer versions of pyparsing warn of.
[[ $resolution == lowest-direct ]] && echo "pyparsing>=3.1,<3.3" >>"$work/tools.txt"

failed=()
for python in "${pythons[@]}"; do
  env=$work/env_${python//\//_}  # a version, or the path of an interpreter
  "$uv" venv --quiet --python "$python" "$env"
  "$uv" pip install --quiet --python "$env" --resolution "$resolution" \
    ".[$extras]" --requirement "$work/tools.txt"
  printf '\n== %s, %s versions\n' "$("$env/bin/python" --version)" "$resolution"
  "$uv" pip freeze --python "$env" --quiet |
    grep -E '^(numpy|scipy|pandas|formulaic|tqdm|narwhals|polars|pyarrow|matplotlib|statsmodels|scikit-learn)==' |
    tr '\n' ' '
  echo
  "$env/bin/python" -m pytest -q "$@" || failed+=("$python")
done
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi

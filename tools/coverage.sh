#!/usr/bin/env bash
# Lines and branches of src/xpu that the tests reach: the whole suite in two halves side by side, then what differs where
# nothing was ever accelerated, and where every operation runs on the pretend device. numba compiles anew, so that what
# writes its code is seen. What is left out, and why, is in pyproject.toml.
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD/src" XPU_CALLS="${XPU_CALLS:-20}"
NUMBA_CACHE_DIR="$(mktemp -d)"
export NUMBA_CACHE_DIR
trap 'rm -rf "$NUMBA_CACHE_DIR"' EXIT
rm -f .coverage .coverage.*
part() { python -m coverage run -m pytest -q -n 0 "$@"; }
status=0
part tests/conformance tests/each tests/pure tests/test_architecture.py &
halves=$(ls -d tests/*/ | grep -v -e conformance -e each -e pure -e machines)
part $halves || status=1
wait $! || status=1
part tests/each/test_small_print.py tests/each/test_sharing.py tests/each/test_rows.py -k cpu || status=1
XPU_DEVICE=pretend part tests/each tests/decisions || status=1
XPU_PRETEND=tests/machines/eager.json part tests/each || status=1
python -m coverage combine -q && python -m coverage report
exit $status

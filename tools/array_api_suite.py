"""The official array API test suite (data-apis/array-api-tests) against xpu, on the devices and seeds asked for.

Run ``python tools/array_api_suite.py --devices cpu pretend --seeds 0 1 2 3 --examples 20``. It clones the suite at the
revision below with its submodule (or takes a checkout: ``--suite DIR``), needs ``pytest``, ``hypothesis``, ``ndindex``
and ``pytest-json-report``, and prints one line a run. Failures that are NumPy's own answers are in
``tests/conformance/expected_failures.txt``; any other failure makes the exit status 1.

The file is also the pytest plugin of those runs: it seeds `random`, which Hypothesis' own seed does not reach but
``strategy.example()`` draws from, and it counts.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SUITE = "https://github.com/data-apis/array-api-tests"
REVISION = "55fcc60179efa2680ddd6cd926ddf17b83530e2b"
STANDARD = "2025.12"
ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "tests" / "conformance" / "expected_failures.txt"

_outcomes: dict[str, str] = {}


def pytest_runtest_setup(item) -> None:
    """Seed what `strategy.example()` shuffles with."""
    if os.environ["XPU_SUITE_SEED"] != "random":
        random.seed(f"{os.environ['XPU_SUITE_SEED']} {item.nodeid}")


def pytest_runtest_logreport(report) -> None:
    """Keep the outcome of a test."""
    if hasattr(report, "wasxfail"):
        _outcomes[report.nodeid] = "expected" if report.outcome == "skipped" else "passed although listed"
    elif report.when == "call" or report.outcome != "passed":
        _outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Write the counts, and the names of what failed, for the parent process."""
    counts = Counter(_outcomes.values())
    order = ("passed", "failed", "expected", "passed although listed", "skipped")
    lines = [", ".join(f"{counts[name]} {name}" for name in order)]
    lines += [f"FAILED {test}" for test, outcome in _outcomes.items() if outcome == "failed"]
    Path(os.environ["XPU_SUITE_COUNTS"]).write_text("\n".join(lines), encoding="utf-8")


def fetch(folder: Path) -> Path:
    """Clone the suite, and the standard it reads its rules from."""
    suite = folder / "suite"
    subprocess.run(["git", "clone", "-q", SUITE, str(suite)], check=True)
    subprocess.run(["git", "-C", str(suite), "checkout", "-q", REVISION], check=True)
    subprocess.run(["git", "-C", str(suite), "submodule", "update", "-q", "--init"], check=True)
    return suite


def run(suite: Path, device: str, seed: str, examples: int, folder: Path, more: list[str]) -> bool:
    """Run the suite once and print its line; return True where nothing unexpected failed."""
    counts = folder / "counts.txt"
    counts.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "ARRAY_API_TESTS_MODULE": "xpu",
        "ARRAY_API_TESTS_VERSION": STANDARD,
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])),
        "XPU_DEVICE": device,
        "XPU_SUITE_COUNTS": str(counts),
        "XPU_SUITE_SEED": seed,
    }
    if seed != "random":
        environment["PYTHONHASHSEED"] = "0"
    command = [sys.executable, "-m", "pytest", "-c", str(suite / "pytest.ini"), f"--rootdir={suite}"]
    command += ["-p", "array_api_suite", "-p", "no:cacheprovider", "-q", "-W", "ignore"]
    command += ["--hypothesis-disable-deadline", f"--max-examples={examples}", f"--xfails-file={EXPECTED}", *more]
    command += [f"--hypothesis-seed={seed}"] if seed != "random" else []
    done = subprocess.run([*command, "array_api_tests"], cwd=suite, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1) or not counts.exists():
        print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
        return False
    print(f"{device}, seed {seed}, {examples} examples: {counts.read_text(encoding='utf-8')}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run every device with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=Path, help="a checkout of the suite with its submodule; cloned if not given")
    parser.add_argument("--devices", nargs="+", default=["cpu", "pretend"])
    parser.add_argument("--seeds", nargs="+", default=["0"], help="numbers, or the word random")
    parser.add_argument("--examples", type=int, default=20, help="Hypothesis examples a test")
    asked, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = asked.suite.resolve() if asked.suite else fetch(Path(folder))
        good = [
            run(suite, device, seed, asked.examples, Path(folder), more)
            for device in asked.devices
            for seed in asked.seeds
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

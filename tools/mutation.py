"""Mutation testing: small wrong changes to the core, each of which some test must see.

Run ``python tools/mutation.py _block _dispatch _running _transfer _results`` (`mutmut` works in a copy of the tree, one
process per mutant). It prints how many mutants were killed, and the change each survivor makes. `TESTS` is the fast
part of the suite that is about these files; a mutant that only a slower test sees counts as a survivor.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = {
    "_placement": ["tests/pure/test_placement_exactly.py"],
    "_dispatch": [
        "tests/decisions/test_events_exactly.py",
        "tests/decisions/test_decisions.py",
        "tests/decisions/test_faults.py",
        "tests/decisions/test_coherence.py",
        "tests/decisions/test_block.py",
        "tests/decisions/test_hints.py",
    ],
    "_running": [
        "tests/decisions/test_check_both.py",
        "tests/decisions/test_faults.py",
        "tests/decisions/test_decisions.py",
        "tests/decisions/test_coherence.py",
        "tests/decisions/test_block.py",
        "tests/each/test_sharing.py",
    ],
    "": [
        "tests/decisions/test_block.py",
        "tests/decisions/test_coherence.py",
        "tests/decisions/test_faults.py",
        "tests/decisions/test_decisions.py",
        "tests/testing/test_kit.py",
        "tests/each/test_programs_of_views.py",
    ],
}
STATES = {"killed", "timeout", "segfault", "suspicious"}


def configured(folder: Path, modules: list[str], chosen: list[str] | None) -> None:
    """Copy what is needed and tell mutmut what to do."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    known = chosen or [test for module in modules for test in TESTS.get(module, TESTS[""])]
    tests = [test for test in dict.fromkeys(known) if (ROOT / test).exists()]
    lists = {
        "source_paths": ["src"],
        "only_mutate": [f"src/xpu/{module}.py" for module in modules],
        "pytest_add_cli_args": ["-q", "-n0"],
        "pytest_add_cli_args_test_selection": tests,
    }
    lines = ["[mutmut]", "use_git_change_detection = false", "timeout_constant = 20.0"]
    for key, values in lists.items():
        lines += [f"{key} =", *[f"    {value}" for value in values]]
    (folder / "setup.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Run mutmut and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", help="files below src/xpu, without .py")
    parser.add_argument("--children", type=int, default=1, help="processes at once")
    parser.add_argument("--tests", nargs="+", help="test files to use instead of those that are known to be about it")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    configured(folder, asked.modules, asked.tests)
    # No PYTHONPATH: mutmut puts the mutated tree first, and a path looked up before it exists is never looked up again.
    environment = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "XPU_EXAMPLES": "10"}
    mutmut = [sys.executable, "-m", "mutmut"]
    subprocess.run([*mutmut, "run", "--max-children", str(asked.children)], cwd=folder, env=environment, check=False)

    def ask(*words: str) -> str:
        command = [*mutmut, *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout

    states = dict(re.findall(r"^\s*(\S+): (.+)$", ask("results", "--all", "true"), flags=re.M))
    counts = Counter(states.values())
    tried = sum(n for state, n in counts.items() if state != "not checked")
    killed = sum(n for state, n in counts.items() if state in STATES)
    share = 100 * killed / max(tried, 1)
    print(f"{', '.join(asked.modules)}: {killed} of {tried} mutants killed ({share:.1f}%); {dict(counts)}")
    for name, state in states.items():
        if state in ("survived", "no tests"):
            changed = [line for line in ask("show", name).splitlines() if re.match(r"[+-](?![+-])", line)]
            print(f"\n{name}: {state}\n" + "\n".join(changed), flush=True)
    if not asked.keep:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

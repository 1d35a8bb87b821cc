"""Runs a command whose CuPy finds a CUDA card played by the host: kernels are compiled by g++ and executed.

``python tools/emulator/run.py -- python -m pytest ...`` runs any command; ``python tools/emulator/run.py campaign
--seeds 8 --names sum cumsum`` makes drawn calls (campaign.py has the options). README.md says what this proves.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import platformdirs
from played import build

HERE = Path(__file__).resolve().parent
CACHE = Path(platformdirs.user_cache_dir("xpu", appauthor=False)) / "emulator"


def environment(tools: build.Toolchain) -> dict[str, str]:
    """Return the environment in which Python starts with the emulated card."""
    paths = [str(HERE / "startup"), str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "CUDA_VISIBLE_DEVICES": "0",
        "CUPY_ACCELERATORS": "",  # CUB and cuTENSOR are not played
        build.FOLDER: str(tools.folder),
    }


def main() -> int:
    """Compile what the emulator needs, then run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"compiled kernels are kept there (default {CACHE})")
    parser.add_argument("--headers", type=Path, help="a folder with cuda_fp16.h (default: $CUDA_PATH, or pip's)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="campaign and its options, or -- and a command")
    asked = parser.parse_args()
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        parser.error("no command given: campaign ..., or -- python ...")
    if command[0] == "campaign":
        command = [sys.executable, str(HERE / "campaign.py"), *command[1:]]
    if asked.headers:
        os.environ[build.HEADERS] = str(asked.headers.resolve())
    try:
        tools = build.toolchain(asked.cache.resolve())
        build.prepare(tools)
    except build.EmulatorError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    code = subprocess.run(command, env=environment(tools)).returncode
    if code < 0:
        name = signal.Signals(-code).name
        print(f"emulator: ended by {name}, as by a kernel that reads outside its arrays; try python -X faulthandler")
    return abs(code)


if __name__ == "__main__":
    raise SystemExit(main())

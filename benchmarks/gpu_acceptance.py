"""Everything that only a real card can show, in one command of at most eight minutes.

    python benchmarks/gpu_acceptance.py --out DIR
    python benchmarks/gpu_acceptance.py --out DIR --device pretend      # dry: small sizes, no card

Each part runs in a process of its own under a time limit, so a part that fails, crashes or hangs is
reported and hides nothing. One JSON and one Markdown report, named after the machine, are written anew after
every part, with the rows of tables that were not finished. It needs no network and no installation: the
source tree is enough.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUDGET = 480.0
# A part stops of itself so many seconds before it would be stopped.
GRACE = 8.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the reports")
    parser.add_argument("--device", choices=("cuda", "pretend"), default="cuda")
    parser.add_argument("--only", nargs="*", default=None, metavar="PART", help="names of parts to run")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for everything (default: %(default)s)")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=60.0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    sys.path[:0] = [str(HERE), str(HERE.parent / "src")]
    return child(options) if options.part else report(options)


def child(options: argparse.Namespace) -> int:
    """Run one part; rows go to a file as they come, and what was found as the last line."""
    from acceptance.measure import NotHere, Run
    from acceptance.parts import PARTS

    rows = open(options.out, "a", encoding="utf-8")  # noqa: SIM115 (open as long as the process lives)

    def emit(row: dict[str, Any]) -> None:
        rows.write(json.dumps(row, default=str) + "\n")
        rows.flush()

    deadline = time.monotonic() + max(options.limit - GRACE, options.limit / 2)
    try:
        found = PARTS[options.part].look(Run(options.device, options.device == "pretend", emit, deadline))
    except NotHere as why:
        found = {"not here": str(why)}
    emit({"found": found})
    return 0


def report(options: argparse.Namespace) -> int:
    from acceptance.parts import PARTS
    from acceptance.report import as_markdown

    unknown = set(options.only or ()) - PARTS.keys()
    if unknown:
        message = f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        raise SystemExit(message)
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    names = [name for name in PARTS if not options.only or name in options.only]
    parts: dict[str, Any] = {name: {"status": "not run: not reached", "seconds": 0.0} for name in names}
    for i, name in enumerate(names):
        kept = sum(PARTS[later].kept for later in names[i + 1 :])
        left = options.budget - (time.monotonic() - began)
        # A dry run is not about time: a busy machine only has to get through it.
        limit = left if options.device == "pretend" else min(PARTS[name].limit, left - kept)
        parts[name] = run_part(name, options.device, limit, options.out)
        print(f"{name}: {parts[name]['status']} in {parts[name]['seconds']:.1f} s", flush=True)
        whole = {
            "machine": name_of_machine(parts, options.device),
            "device": options.device,
            "date": time.strftime("%Y-%m-%d"),
            "seconds": time.monotonic() - began,
            "parts": parts,
        }
        stem = options.out / f"gpu-acceptance-{slug(whole['machine'])}"
        _write(stem.with_suffix(".json"), json.dumps(whole, indent=1, default=str) + "\n")
        _write(stem.with_suffix(".md"), as_markdown(whole))
        described = parts[name].get("found", {}).get("device") if name == "cudnn device" else None
        if described:
            _write(options.out / f"cudnn-device-{slug(whole['machine'])}.json", described)
    print(f"{stem}.json\n{stem}.md")
    return 0 if all(p["status"].startswith(("done", "not run: it needs")) for p in parts.values()) else 1


def slug(machine: str) -> str:
    """Return a machine's name as part of a file's."""
    kept = "".join(c if c.isalnum() else "-" for c in machine.lower())
    return "-".join(word for word in kept.split("-") if word)


def _write(path: Path, content: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_suffix(path.suffix + ".new")
    beside.write_text(content, encoding="utf-8")
    os.replace(beside, path)


def run_part(name: str, device: str, limit: float, out: Path = Path()) -> dict[str, Any]:
    """Run a part in a child; say what became of it. Of a part that was stopped the rows that it had are kept."""
    from acceptance.parts import PARTS

    if limit < 5:
        return {"status": "not run: the time is spent", "seconds": 0.0}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        command = [sys.executable, __file__, "--out", str(rows), "--device", device, "--part", name]
        ending, said = _ended([*command, "--limit", str(limit)], limit, environment(device, out))
        told = [json.loads(line) for line in _whole_lines(rows)]
    outcome: dict[str, Any] = {"seconds": time.monotonic() - started}
    found = told.pop()["found"] if told and "found" in told[-1] else None
    if found is not None and "not here" in found:
        return {**outcome, "status": f"not run: {found['not here']}"}
    if found is not None:
        left = found.get("not run", 0)
        rest = f"done but for {left} rows: the time was spent" if left else "done"
        return {**outcome, "status": found.pop("status", rest), "found": found}
    if ending is None:
        outcome["status"] = f"stopped after {limit:.0f} s"
    else:
        last = (said.strip().splitlines() or ["no message"])[-1]
        outcome["status"] = f"failed (exit {ending}): {last[:300]}"
    if not told:
        return outcome
    targets = PARTS[name].targets
    reached = {"targets": targets(told)} if targets else {}
    return {**outcome, "found": {"rows": told, **reached}}


def _whole_lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _ended(command: list[str], limit: float, env: dict[str, str]) -> tuple[int | None, str]:
    """Run a command and everything it starts; return its exit status (None if stopped) and its errors."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env=env, start_new_session=hasattr(os, "killpg")
        )
        try:
            status: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
            _stop(process)
        errors.seek(0)
        return status, errors.read()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def environment(device: str, out: Path) -> dict[str, str]:
    """Return the environment of a part: the source tree first, files under the report's folder."""
    paths = [str(HERE.parent / "src"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    made = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "XPU_ACCEPTANCE_OUT": str(out.resolve())}
    if device == "pretend":
        made.setdefault("XPU_PRETEND", "h200")
    return made


def name_of_machine(parts: dict[str, Any], device: str) -> str:
    """Return the card's name, from the doctor; the host's where there is none."""
    rows = parts.get("doctor", {}).get("found", {}).get("report", {}).get("rows", [])
    card = next((r for r in rows if r.get("part") == "GPU"), {}) if device == "cuda" else {}
    name = str(card.get("found") or "") if card.get("verdict") == "ok" else ""
    return name or f"{device} on {platform.machine()} {platform.system()}"


if __name__ == "__main__":
    raise SystemExit(main())

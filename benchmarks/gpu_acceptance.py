"""Everything that only a real card can show, in one command.

    python benchmarks/gpu_acceptance.py --out DIR
    python benchmarks/gpu_acceptance.py --out DIR --device pretend      # dry: small sizes, no card

Each part runs in a process of its own under a time limit, so a part that fails, crashes or hangs is
reported and hides nothing. Writes one JSON and one Markdown report named after the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BUDGET = 480.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the reports")
    parser.add_argument("--device", choices=("cuda", "pretend"), default="cuda")
    parser.add_argument("--only", nargs="*", default=None, help="names of parts to run")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    sys.path[:0] = [str(HERE), str(HERE.parent / "src")]
    if options.part:
        return child(options.part, options.device)
    return report(options)


def child(name: str, device: str) -> int:
    """Run one part and print what it found as the last line."""
    from acceptance.parts import PARTS

    found = PARTS[name][0](device, device == "pretend")
    print("\n" + json.dumps(found, default=str))
    return 0


def report(options: argparse.Namespace) -> int:
    from acceptance.parts import PARTS

    unknown = set(options.only or ()) - PARTS.keys()
    if unknown:
        message = f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        raise SystemExit(message)
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    parts: dict[str, Any] = {}
    for name, (_, limit) in PARTS.items():
        if options.only and name not in options.only:
            continue
        left = BUDGET - (time.monotonic() - began)
        parts[name] = run_part(name, options.device, min(limit, left))
        print(f"{name}: {parts[name]['status']} in {parts[name]['seconds']:.1f} s", flush=True)
    machine = name_of_machine(parts, options.device)
    whole = {"machine": machine, "device": options.device, "date": time.strftime("%Y-%m-%d"), "parts": parts}
    stem = options.out / ("gpu-acceptance-" + "".join(c if c.isalnum() else "-" for c in machine.lower()).strip("-"))
    stem.with_suffix(".json").write_text(json.dumps(whole, indent=1, default=str) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(as_markdown(whole), encoding="utf-8")
    print(f"{stem}.json\n{stem}.md")
    return 0 if all(p["status"] == "done" for p in parts.values()) else 1


def run_part(name: str, device: str, limit: float) -> dict[str, Any]:
    """Run a part in a child; say what became of it."""
    if limit < 5:
        return {"status": "not run: the time is spent", "seconds": 0.0}
    command = [sys.executable, __file__, "--out", ".", "--device", device, "--part", name]
    started = time.monotonic()
    env = {**os.environ, "XPU_PRETEND": os.environ.get("XPU_PRETEND", "h200")} if device == "pretend" else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=env, check=False)
    except subprocess.TimeoutExpired:
        return {"status": f"stopped after {limit:.0f} s", "seconds": time.monotonic() - started}
    seconds = time.monotonic() - started
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"status": f"failed (exit {done.returncode}): {last[:300]}", "seconds": seconds}
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {"status": "done", "seconds": seconds, "found": found}


def name_of_machine(parts: dict[str, Any], device: str) -> str:
    """Return the card's name, from the doctor; the host's where there is none."""
    rows = parts.get("doctor", {}).get("found", {}).get("rows", [])
    card = next((str(r.get("found") or "") for r in rows if r.get("part") == "GPU"), "") if device == "cuda" else ""
    return card or f"{device} on {platform.machine()} {platform.system()}"


def as_markdown(whole: dict[str, Any]) -> str:
    """Return the report for people: what became of each part, the targets, and the tables."""
    lines = [f"# Acceptance run: {whole['machine']}", "", f"Device `{whole['device']}`, {whole['date']}.", ""]
    if whole["device"] == "pretend":
        lines += ["A dry run on the pretend device: virtual time, small sizes. It says nothing of a real card.", ""]
    lines += ["| part | outcome | seconds |", "|---|---|---|"]
    for name, part in whole["parts"].items():
        note = part.get("found", {}).get("note", "")
        lines.append(f"| {name} | {(note or part['status']).replace('|', '/')} | {part['seconds']:.1f} |")
    lines += ["", "## Targets", "", "| target | reading |", "|---|---|"]
    for name, part in whole["parts"].items():
        for target, value in part.get("found", {}).get("targets", {}).items():
            lines.append(f"| {name}: {target} | {plain(value)} |")
    for name, part in whole["parts"].items():
        found = part.get("found", {})
        if found.get("rows") and isinstance(found["rows"][0].get("seconds"), dict):
            lines += ["", f"## {name.capitalize()}", "", *table(found["rows"])]
        elif found and not found.get("note") and "rows" not in found:
            lines += ["", f"## {name.capitalize()}", ""]
            lines += [f"- {key}: {plain(value)}" for key, value in found.items() if key != "targets"]
    return "\n".join(lines) + "\n"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return a Markdown table of readings in microseconds."""
    keys = [k for k in rows[0] if k != "seconds"]
    ways = list(rows[0]["seconds"])
    out = [f"| {' | '.join(keys + [f'{w}, us' for w in ways])} |", "|---" * (len(keys) + len(ways)) + "|"]
    for row in rows:
        cells = [plain(row[k]) for k in keys]
        cells += [f"{v * 1e6:.1f}" if isinstance(v, float) else "failed" for v in row["seconds"].values()]
        out.append(f"| {' | '.join(cells)} |")
    return out


def plain(value: Any) -> str:
    """Return a value as text for a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "; ".join(f"{k} {plain(v)}" for k, v in value.items())[:600]
    return str(value)[:600].replace("|", "/")


if __name__ == "__main__":
    raise SystemExit(main())

"""Run the probes: each in a child process of its own, all at once, each with a time limit.

What a driver or a library does to its process (hang, abort, print nonsense, fill the disk) is
caught here and told as a finding. Nothing in this file can raise for what a probe did.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from xpu._doctor._model import Ending, Probe
from xpu._doctor._xpu_probes.answer import MARK

BOOT = "import sys; sys.path.append(sys.argv[1]); from _xpu_probes.main import main; main(sys.argv[2:])"
# Seconds. A cold first CUDA call takes seconds (context), and so does a first compilation.
LIMITS = {"machine": 20, "nvml": 20, "libraries": 40, "linking": 20, "cupy": 60, "cudnn": 40}
MOST_OUTPUT = 4_000_000  # bytes; a probe writes some thousands
POLL = 0.01  # seconds between two looks at a running child
GRACE = 2.0  # seconds for a killed child to go; one stuck in the kernel is left behind


@dataclass(frozen=True, slots=True)
class Plan:
    """One child process to run: its name, its command and its time limit in seconds."""

    name: str
    command: tuple[str, ...]
    limit: float


def plans(
    names: Sequence[str] = tuple(LIMITS),
    *,
    limit: float = 60.0,
    root: str = "/",
    python: Sequence[str] = (),
) -> tuple[Plan, ...]:
    """Return the child processes of a diagnosis.

    Parameters
    ----------
    names : sequence of str, optional
        Which probes.
    limit : float, optional
        The longest any of them may take, in seconds.
    root : str, optional
        Root of the file system to look at.
    python : sequence of str, optional
        Interpreter and its options; this one by default.

    Returns
    -------
    tuple of Plan
        One per name.
    """
    interpreter = tuple(python) or (sys.executable, "-P")
    boot = (*interpreter, "-c", BOOT, str(Path(__file__).parent))
    return tuple(Plan(name, (*boot, name, root), min(limit, LIMITS[name])) for name in names)


def run_all(chosen: Sequence[Plan], env: Mapping[str, str] | None = None) -> dict[str, Probe]:
    """Run all of them at once; return what each told, by name."""
    if not chosen:
        return {}
    with ThreadPoolExecutor(len(chosen)) as pool:
        answers = pool.map(lambda plan: run(plan, env), chosen)
        return {answer.name: answer for answer in answers}


def run(plan: Plan, env: Mapping[str, str] | None = None) -> Probe:
    """Run one child to its end or to its limit.

    Parameters
    ----------
    plan : Plan
        What to run.
    env : mapping, optional
        The child's environment; this process's by default.

    Returns
    -------
    Probe
        What it told. Never raises for what the child did.
    """
    begin = time.monotonic()
    try:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
            ending = _wait(process, plan.limit, out, err)
            told, printed = _tail(out, MOST_OUTPUT), _tail(err, 4000)
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return Probe(plan.name, detail=f"{type(problem).__name__}: {problem}")
    facts, errors, noise = _parse(told)
    if ending == "ok":
        ending = _judge(process.returncode, facts)
    detail = _detail(ending, plan.limit, process.returncode, printed or noise)
    seconds = time.monotonic() - begin
    return Probe(plan.name, ending, facts, errors, round(seconds, 3), detail)


def _wait(process: subprocess.Popen[bytes], limit: float, *files: IO[bytes]) -> Ending:
    """Wait for the child; kill it, and what it started, past its time or its share of the disk."""
    deadline = time.monotonic() + limit
    while process.poll() is None:
        if time.monotonic() > deadline:
            _kill(process)
            return "timeout"
        if sum(os.fstat(file.fileno()).st_size for file in files) > MOST_OUTPUT:
            _kill(process)
            return "garbage"
        time.sleep(POLL)
    return "ok"


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(GRACE)
    except (OSError, subprocess.TimeoutExpired):
        return  # gone already, or stuck in the kernel where no signal reaches it


def _tail(file: IO[bytes], most: int) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - most))
    return file.read(most).decode(errors="replace")


def _parse(told: str) -> tuple[dict[str, Any], tuple[tuple[str, str], ...], str]:
    """Split what a child wrote into facts, errors and everything it should not have written."""
    facts: dict[str, Any] = {}
    errors: list[tuple[str, str]] = []
    noise: list[str] = []
    for line in told.splitlines():
        try:
            entry = json.loads(line.removeprefix(MARK)) if line.startswith(MARK) else None
        except ValueError:
            entry = None
        if isinstance(entry, dict) and "key" in entry and "value" in entry:
            facts[str(entry["key"])] = entry["value"]
        elif isinstance(entry, dict) and "step" in entry and "error" in entry:
            errors.append((str(entry["step"]), str(entry["error"])))
        else:
            noise.append(line)
    return facts, tuple(errors), "\n".join(noise[-20:])


def _judge(status: int | None, facts: Mapping[str, Any]) -> Ending:
    if status:
        return "crash"
    return "ok" if facts.get("done") else "garbage"


def _detail(ending: Ending, limit: float, status: int | None, printed: str) -> str:
    """Say in a few words how the child ended, then the end of what it printed."""
    last = printed.strip()[-600:]
    if ending == "ok":
        return last
    if ending == "timeout":
        return f"no answer after {limit:g} s; stopped. {last}".strip()
    if ending == "garbage":
        return f"an answer nobody can read: {last!r}"
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        return f"killed by {name}. {last}".strip()
    return f"exit status {status}. {last}".strip()

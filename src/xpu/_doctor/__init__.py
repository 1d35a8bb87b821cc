"""`xpu doctor`: what of the GPU's software is there, whether it fits, and what mends it.

A user meets three names before any speed: the driver, the CUDA toolkit, cuDNN. This package finds
each without trusting any of them: the probes run in child processes (`_run`, `_xpu_probes`), their
answers become facts (`_facts`), facts are checked (`_checks`) against the table of known failures
(`_symptoms`, `_find`), and the outcome is plain data (`_model`) that is printed (`_show`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence

from xpu._doctor import _find, _rows, _run, _show
from xpu._doctor._facts import Facts, Process
from xpu._doctor._model import Finding, Probe, Report, Row
from xpu._doctor._xpu_probes.finding import loaded

__all__ = [
    "Finding",
    "Probe",
    "Report",
    "Row",
    "doctor",
    "doctor_main",
    "explain",
    "summary_for_warning",
]

QUICK = 5.0  # seconds a first warning may wait for
MANY_CAUSES = ("old-driver", "no-device")  # messages that say "no GPU" and not why


def doctor(limit: float = 60.0) -> Report:
    """Look at the driver, the CUDA toolkit, CuPy, cuDNN and the cards.

    Every probe runs in a child process with a time limit, so a library that hangs or crashes is
    reported, and makes neither this process nor its CUDA state worse.

    Parameters
    ----------
    limit : float, optional
        The longest any probe may take, in seconds.

    Returns
    -------
    Report
        The table, what to mend, and whether a GPU is usable. `str` gives it as text.

    Examples
    --------
    >>> report = doctor()
    >>> [row.part for row in report.rows][:2]
    ['NVIDIA driver', 'GPU']
    """
    return diagnose(_run.plans(limit=limit), process=_this_process())


def doctor_main(json: bool = False) -> int:
    """Run `doctor`, print its report, and return the exit status of ``xpu doctor``.

    Parameters
    ----------
    json : bool, optional
        Print JSON rather than a table.

    Returns
    -------
    int
        0 if a GPU is usable, 1 if not.
    """
    report = doctor()
    _show.show(report, json)
    return 0 if report.usable else 1


def summary_for_warning(error: BaseException | str = "") -> str:
    """Return the one sentence of the first warning about a GPU that cannot be used.

    Parameters
    ----------
    error : exception or str, optional
        What the library said. Without it, or if it says no more than that there is no GPU, the
        driver and the installed packages are looked at, which takes at most a few seconds and loads
        nothing into this process.

    Returns
    -------
    str
        Why the CPU computes, and where to look further.

    Examples
    --------
    >>> summary_for_warning("NVML: Driver/library version mismatch").partition("; ")[2]
    '`xpu doctor` has the remedy.'
    """
    known = _find.recognise(_worded(error)) if error else None
    why = known.cause if known else f"the GPU cannot be used ({_worded(error)[:200]})"
    if not error or (known and known.key in MANY_CAUSES):
        findings = diagnose(_run.plans(("machine", "nvml"), limit=QUICK)).findings
        why = findings[0].cause if findings else known.cause if known else "no GPU can be used"
    reason = why.split(". ")[0].split(";")[0].rstrip(".:")
    return f"xpu computes on the CPU because {reason}; `xpu doctor` has the remedy."


def explain(error: BaseException | str) -> str:
    """Return the likely cause of a GPU library's error, in one plain sentence.

    Parameters
    ----------
    error : exception or str
        What was raised, or its text.

    Returns
    -------
    str
        Empty if the error is not one of the known ones.

    Examples
    --------
    >>> explain("cudaErrorInitializationError: initialization error")
    'a process that used CUDA cannot be forked; put this before the workers start:'
    """
    known = _find.recognise(_worded(error))
    return known.cause if known else ""


def diagnose(
    plans: Sequence[_run.Plan],
    *,
    process: Process | None = None,
    env: Mapping[str, str] | None = None,
) -> Report:
    """Run the planned probes and judge what they tell.

    Parameters
    ----------
    plans : sequence of Plan
        The child processes to run.
    process : Process, optional
        What matters of the process that asks.
    env : mapping of str to str, optional
        Environment of the children; this process's by default.

    Returns
    -------
    Report
        The diagnosis.
    """
    facts = Facts(_run.run_all(plans, env), process or Process())
    findings = _find.find(facts)
    rows = _rows.build(facts, findings)
    probes = tuple(facts.probes.values())
    return Report(facts.ran, _summary(facts, findings), rows, findings, probes)


def _summary(facts: Facts, findings: Sequence[Finding]) -> str:
    count = f"{len(findings)} thing{'s' * (len(findings) > 1)} to look at"
    if facts.ran:
        names = sorted({str(card.get("name")) for card in facts.gpus}) or ["a GPU"]
        rest = f" {count}." if findings else ""
        return f"Usable: {', '.join(names)} computed, and the results were right.{rest}"
    if findings and findings[0].key == "no-card":
        return "No GPU here: xpu computes on the CPU. The rest matters only with a GPU."
    if not findings:
        return "No GPU is usable; nothing known is wrong. xpu computes on the CPU."
    return f"No GPU is usable: xpu computes on the CPU. {count}; start with the first."


def _worded(error: BaseException | str) -> str:
    return error if isinstance(error, str) else f"{type(error).__name__}: {error}"


def _this_process() -> Process:
    """Look at this process without changing it: asking for the start method must not fix it."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    method = chosen or multiprocessing.get_all_start_methods()[0]
    child = multiprocessing.parent_process() is not None and method == "fork"
    return Process(method, bool(loaded("libcuda.so")), child)

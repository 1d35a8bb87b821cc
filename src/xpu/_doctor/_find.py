"""Match a machine, or one message, against the table of known failures."""

from __future__ import annotations

import re

from xpu._doctor._facts import Facts
from xpu._doctor._model import Finding, cut
from xpu._doctor._remedies import words
from xpu._doctor._symptoms import SYMPTOMS, Symptom


def find(facts: Facts) -> tuple[Finding, ...]:
    """Return every failure that shows in the facts, causes first.

    Parameters
    ----------
    facts : Facts
        What the probes found.

    Returns
    -------
    tuple of Finding
        Empty where all is well.
    """
    filled = words(facts)
    found = []
    for symptom in SYMPTOMS:
        seen = symptom.fact(facts)
        if not seen and symptom.pattern and symptom.applies(facts):
            seen = next((t for t in facts.texts if re.search(symptom.pattern, t, re.DOTALL)), "")
        if seen:
            found.append(_finding(symptom, seen, filled))
    return tuple(found)


def recognise(message: str) -> Symptom | None:
    """Return the failure a library's message belongs to.

    Parameters
    ----------
    message : str
        The text of an exception or a warning.

    Returns
    -------
    Symptom or None
        None if the message is not known.

    Examples
    --------
    >>> recognise("cudaErrorNoKernelImageForDevice: no kernel image is available").key
    'no-kernel-image'
    >>> recognise("something else") is None
    True
    """
    matching = (s for s in SYMPTOMS if s.pattern and re.search(s.pattern, message, re.DOTALL))
    return next(matching, None)


def _finding(symptom: Symptom, seen: str, filled: dict[str, str]) -> Finding:
    mend = symptom.mend.format_map(filled)
    seen = cut(seen, 400)
    return Finding(symptom.key, symptom.part, symptom.cause, mend, seen, symptom.citation)

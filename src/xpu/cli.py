"""The command line: ``xpu devices | explain | run | whatif | demo | doctor | calibrate``."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xpu
from xpu import demo, runner
from xpu._config import SETTINGS, config, current
from xpu._doctor import doctor_main
from xpu._explain import Explanation
from xpu._machine import profile_names
from xpu._ops._make import Function
from xpu._profile import profile
from xpu._tables import Table, show
from xpu._trace import seconds, size
from xpu.errors import XpuError, nearest, text

__all__ = ["main"]


def _rate(per_second: float) -> str:
    """Format operations per second."""
    return f"{per_second / 1e12:.3g} T/s" if per_second >= 1e12 else f"{per_second / 1e9:.3g} G/s"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if omitted.

    Returns
    -------
    int
        Exit status: 0 for success, 2 for a call that cannot be understood.
    """
    parser = argparse.ArgumentParser(
        prog="xpu", description="NumPy code on the CPU or the GPU, each step where it finishes first."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("devices", help="list devices, settings and the machine in force")
    explaining = commands.add_parser("explain", help="say where one call would run, and why")
    explaining.add_argument("expression", help='for example "add(ones(1000000), 1)"')
    running = commands.add_parser("run", help="run an unmodified NumPy script on xpu")
    running.add_argument("--profile", action="store_true", help="print what ran where, and why")
    running.add_argument("script")
    running.add_argument("arguments", nargs=argparse.REMAINDER)
    asking = commands.add_parser("whatif", help="what a GPU that is not here would bring to a script")
    asking.add_argument("script")
    asking.add_argument("arguments", nargs="*", help="the script's own (after -- if they start with a dash)")
    asking.add_argument("--gpu", required=True, metavar="PROFILE", help="a machine profile, or a machine file")
    asking.add_argument("--json", action="store_true", help="for machines; the script's output goes to stderr")
    showing = commands.add_parser("demo", help="the main job on a real photograph")
    showing.add_argument("--out", default="xpu-demo", help="folder for the pictures")
    examining = commands.add_parser("doctor", help="driver, toolkit, CuPy, cuDNN, GPU: what is there, what is wrong")
    examining.add_argument("--json", action="store_true", help="for machines")
    calibrating = commands.add_parser("calibrate", help="measure this machine, in about ten seconds")
    calibrating.add_argument("--export", metavar="FILE", help="write the machine file there too")
    calibrating.add_argument("--seconds", type=float, default=10.0, help="time for each device (default 10)")
    options = parser.parse_args(argv)
    try:
        return _run(options)
    except XpuError as error:
        print(f"xpu {options.command}: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    if options.command == "devices":
        print_devices()
    elif options.command == "explain":
        explained = explained_call(options.expression)
        for part in explained.tables():
            show(part)
        print("\n".join(explained.notes()))
    elif options.command == "demo":
        return demo.main(Path(options.out))
    elif options.command == "whatif":
        return _whatif(options)
    elif options.command == "calibrate":
        return _calibrate(options.seconds, options.export)
    elif options.command == "doctor":
        return doctor_main(json=options.json)
    else:
        return _run_script(options)
    return 0


def _run_script(options: argparse.Namespace) -> int:
    if not options.profile:
        return runner.main(options.script, options.arguments)
    with profile() as record:
        status = runner.main(options.script, options.arguments)
    print_profile(record)
    return status


def _calibrate(seconds: float, export: str | None) -> int:
    try:
        print(xpu.calibrate(seconds=seconds, export=export))
    except (ValueError, OSError) as error:
        reason = f"{export!r} cannot be written ({error.strerror})" if isinstance(error, OSError) else str(error)
        print(f"xpu calibrate: {reason}", file=sys.stderr)
        return 2
    return 0


def _whatif(options: argparse.Namespace) -> int:
    """Run a script on the CPU, replay it on another machine, and report."""
    asked = importlib.import_module("xpu._program._whatif")  # SciPy's graphs, which other commands do not need
    recorded = importlib.import_module("xpu._program")
    machine = asked.machine_named(options.gpu)
    recording = recorded.Recording(Path(options.script).name)
    aside = contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext()
    with config(device="cpu"), recording, aside:
        status = runner.main(options.script, options.arguments)
    if status:
        return status
    own = options.gpu not in profile_names()
    report = asked.whatif(recording.program(), machine, xpu.machine(), own_cpu=own)
    if options.json:
        print(json.dumps(report.to_dict(), indent=1))
        return 0
    for part in report.tables():
        show(part)
    print("\n".join(report.notes()))
    return 0


def print_devices() -> None:
    """Print devices, the settings in force and the machine's rates for a few cost classes."""
    machine = xpu.machine()
    rows = [["cpu", machine.cpu.title, "the host"]]
    for device in xpu.devices()[1:]:
        processor = machine.accelerator
        rows.append(
            [
                str(device),
                processor.title if processor else "",
                "NumPy posing as a GPU" if device.kind == "pretend" else "CUDA",
            ]
        )
    show(Table("devices", ["device", "what", "kind"], rows))
    values = current().values()
    settings = [[s.name, str(values[s.name]), s.variable, s.help] for s in SETTINGS]
    show(Table("settings", ["setting", "value", "variable", "what"], settings))
    rates = []
    for kind in ("elementwise", "reduction", "matmul", "sort", "fft"):
        for role, processor in (("cpu", machine.cpu), ("accelerator", machine.accelerator)):
            if processor is not None:
                r = processor.classes[kind]
                rates.append(
                    [kind, role, seconds(r.latency), f"{size(r.bandwidth)}/s", _rate(r.rate["f8"])]
                )
    columns = ["cost class", "device", "latency", "bandwidth", "float64 rate"]
    show(Table(f"machine in force: {machine.name}", columns, rates, (2, 3, 4)))


def print_profile(record: profile) -> None:
    """Print a profile as tables."""
    for part in record.tables():
        show(part)
    print("\n".join(record.notes()))


def explained_call(expression: str) -> Explanation:
    """Explain the outermost call of an expression; its arguments are made first.

    Parameters
    ----------
    expression : str
        Calls of xpu's functions on literals: ``"add(ones(10), 1)"``. It is parsed, not evaluated.

    Returns
    -------
    Explanation
        What `xpu.explain` says of it.

    Raises
    ------
    ExpressionError
        If it is anything else.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(text("explain", f"{expression!r} is not an expression ({error.msg})", _REMEDY)) from None
    if not isinstance(tree, ast.Call):
        raise ExpressionError(text("explain", f"{expression!r} is not a call", _REMEDY))
    function = _function(tree.func)
    args, keywords = _arguments(tree)
    return xpu.explain(function, *args, **keywords)


_REMEDY = 'Write a call of xpu\'s functions on literals, for example "add(ones(1000000), 1)".'


class ExpressionError(XpuError, ValueError):
    """Text that `xpu explain` cannot read."""


def _named(node: ast.expr) -> Any:
    path = ast.unparse(node).removeprefix("np.").removeprefix("xpu.")
    found: Any = xpu
    for part in path.split("."):
        names = getattr(found, "__all__", ())
        if part not in names:
            raise ExpressionError(
                text("explain", f"no public name {path!r}", f"{nearest(part, names)} {_REMEDY}".strip())
            )
        found = getattr(found, part)
    return found


# They read and write files, one of them pickles: no expression needs them.
_FILES = frozenset(
    {"fromfile", "fromregex", "genfromtxt", "load", "loadtxt", "save", "savetxt", "savez", "savez_compressed"}
)


def _function(node: ast.expr) -> Any:
    """Return what may be called: a function that xpu places, or one of `xpu.random`; none that touches files."""
    found = _named(node)
    placed = isinstance(found, Function) and found.op.name not in _FILES
    if not placed and getattr(found, "__module__", "") != "xpu.random":
        raise ExpressionError(text("explain", f"{ast.unparse(node)!r} may not be called here", _REMEDY))
    return found


def _arguments(call: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    if any(keyword.arg is None for keyword in call.keywords):
        raise ExpressionError(text("explain", f"{ast.unparse(call)!r} has ** in it", _REMEDY))
    return [_value(a) for a in call.args], {str(k.arg): _value(k.value) for k in call.keywords}


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        function = _function(node.func)
        args, keywords = _arguments(node)
        return function(*args, **keywords)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _named(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Pow)):
        return _number(node)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ExpressionError(text("explain", f"{ast.unparse(node)!r} is not a literal or a call", _REMEDY)) from None


def _number(node: ast.BinOp) -> int:
    """Return a size written as ``10**6`` or ``4 * 1024``."""
    left, right = (_value(side) for side in (node.left, node.right))
    if isinstance(left, int) and isinstance(right, int) and right >= 0:
        power = isinstance(node.op, ast.Pow)
        digits = math.log10(abs(left) or 1) * right if power else math.log10(max(1, abs(left)) * max(1, right))
        if digits < _DIGITS:
            return int(left**right) if power else left * right
    raise ExpressionError(text("explain", f"{ast.unparse(node)!r} is not the size of an array", _REMEDY))


_DIGITS = 19

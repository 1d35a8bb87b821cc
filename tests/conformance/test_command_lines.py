"""The command lines of the pages on the GPU stack: those that print run as written, and what each names is there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import xpu
from xpu import cli

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{name}.md" for name in ("acceptance", "distributed", "doctor", "kernels", "pipeline"))]
LINE = re.compile(r"^ {4}((?:python|pip|xpu) .*)$", re.M)


def blocks(page, *languages):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```(?:{'|'.join(languages)})\n(.*?)```", text, re.S)


def command_lines():
    """Return every line of the pages that starts a program, without its comment."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        indented = re.sub(r"```\w*\n.*?```", "", text, flags=re.S)
        shown = LINE.findall(indented) + [m for block in blocks(page, "sh") for m in LINE.findall("    " + block)]
        # What has code of its own (-c) is run with the block it stands in, below.
        found += [(page, line.partition("  #")[0].strip()) for line in shown if "-c" not in line.split()]
    return found


def test_a_card_that_is_too_small_as_written(tmp_path):
    """The shell commands of docs/pipeline.md print what stands below them, for their clock is virtual."""
    (commands,), (shown,) = blocks("docs/pipeline.md", "sh"), blocks("docs/pipeline.md", "text")
    env = {name: value for name, value in os.environ.items() if not name.startswith("XPU_")}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    env["PYTHONPATH"] = os.pathsep.join([str(Path(xpu.__file__).parents[1]), env.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_what_a_command_line_names_is_there(page, line):
    words = line.split()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    if words[0] == "pip":
        named = re.search(r"\[(\w+)\]", line)
        assert words[1] == "install"
        assert named
        assert named[1] in extras
    elif words[0] == "xpu":
        with pytest.raises(SystemExit) as stopped:
            cli.main([words[1], "--help"])
        assert stopped.value.code == 0
    elif words[1:3] == ["-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    else:
        script = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(f'"{word}"' in script for word in words if word.startswith("--"))


def test_command_lines_are_found():
    assert len(command_lines()) >= 12, command_lines()

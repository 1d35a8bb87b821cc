"""The pytest plugin: the option ``--xpu-devices``, the fixture ``xpu_device``, a line in the header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_KINDS = ("cpu", "pretend", "cuda")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--xpu-devices``."""
    parser.getgroup("xpu").addoption(
        "--xpu-devices",
        default="cpu,pretend",
        help="devices that the fixture `xpu_device` goes through: any of cpu, pretend, cuda (default: %(default)s)",
    )


def _asked(config: pytest.Config) -> list[str]:
    import pytest

    names = [name.strip() for name in str(config.getoption("--xpu-devices")).split(",") if name.strip()]
    unknown = [name for name in names if name.partition(":")[0] not in _KINDS]
    if unknown or not names:
        message = f"--xpu-devices: no device {', '.join(unknown) or 'given'}. Valid: {', '.join(_KINDS)}."
        raise pytest.UsageError(message)
    return names


def pytest_report_header(config: pytest.Config) -> str:
    """Say which devices are there."""
    from xpu.testing import available_devices

    there = available_devices()
    cuda = "" if any(d.startswith("cuda") for d in there) else "; no usable GPU (xpu doctor says why)"
    return f"xpu devices: {', '.join(there)}{cuda}; asked for: {', '.join(_asked(config))}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `xpu_device` once per device."""
    if "xpu_device" in metafunc.fixturenames:
        metafunc.parametrize("xpu_device", _asked(metafunc.config), indirect=True)


def _device(request: Any) -> Iterator[str]:
    """Force every operation of the test to one device; skip where this machine has no such device."""
    import pytest

    from xpu._config import config
    from xpu.testing import available_devices

    name: str = request.param
    there = available_devices()
    if not any(d == name or d.partition(":")[0] == name for d in there):
        pytest.skip(f"no device {name!r} here, only {', '.join(there)}: run `xpu doctor`")
    with config(device=name):
        yield name


def _fixture() -> Any:
    import pytest

    return pytest.fixture(name="xpu_device")(_device)


xpu_device = _fixture()

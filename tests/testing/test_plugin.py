"""The pytest plugin, in a pytest of its own."""

pytest_plugins = ["pytester"]

TEST = """
    import xpu

    def test_where(xpu_device):
        assert (xpu.ones(3) + 1).device.kind == xpu_device
"""


def _run(pytester, *options):
    pytester.makepyfile(TEST)
    return pytester.runpytest("-p", "no:xpu", "-p", "xpu.testing.plugin", "-p", "no:cacheprovider", "-rs", *options)


def test_a_test_runs_once_per_device(pytester):
    result = _run(pytester)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["xpu devices: cpu, pretend*asked for: cpu, pretend"])


def test_a_device_that_is_not_there_is_skipped_with_the_reason(pytester):
    result = _run(pytester, "--xpu-devices", "cpu,cuda:7")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*no device 'cuda:7' here*xpu doctor*"])


def test_an_unknown_device_is_refused(pytester):
    result = _run(pytester, "--xpu-devices", "gpu")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*no device gpu. Valid: cpu, pretend, cuda.*"])

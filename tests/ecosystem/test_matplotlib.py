import numpy as np
import pytest

import xpu

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")

ROW = (
    "matplotlib",
    "every plotting function reads in place; what it keeps of a line is a copy",
    "`xpu.asarray(canvas.buffer_rgba())` copies",
    "no",
)


@pytest.fixture
def axes():
    matplotlib.use("agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots(2, 4)
    yield axes.ravel()
    plt.close(figure)


def draw(axes, x):
    axes[0].plot(x[0], x[1], label=f"{x.mean():.1f}")
    axes[0].set_xlim(x[0].min(), x[0].max())
    axes[0].axhline(x.mean())
    axes[0].fill_between(x[0], x[1], x[2], where=x[0] > 1)
    axes[1].imshow(x, vmin=x.min(), vmax=x.max())
    counts, edges, _ = axes[2].hist(x.ravel(), bins=3)
    axes[3].contourf(x)
    axes[4].scatter(x[0], x[1], c=x[2], s=x[0] + 1)
    axes[5].errorbar(x[0], x[1], yerr=x[2])
    axes[6].bar(x[0], x[1])
    axes[7].boxplot(x)
    axes[0].figure.canvas.draw()
    return counts, edges


def test_a_figure_of_xpu_arrays_is_the_figure_of_numpys(axes, x, host):
    plt = pytest.importorskip("matplotlib.pyplot")
    counts, edges = draw(axes, x)
    got = xpu.asarray(axes[0].figure.canvas.buffer_rgba())
    assert type(got).__module__ == "xpu"
    other, others = plt.subplots(2, 4)
    expected_counts, expected_edges = draw(others.ravel(), host)
    np.testing.assert_array_equal(np.asarray(counts), expected_counts)
    np.testing.assert_array_equal(np.asarray(edges), expected_edges)
    np.testing.assert_array_equal(xpu.asnumpy(got), np.asarray(other.canvas.buffer_rgba()))
    plt.close(other)


def test_a_line_keeps_a_copy(axes, x):
    (line,) = axes[0].plot(x[0], x[1])
    x[1] = 100.0
    assert line.get_ydata(orig=False).tolist() == [4.0, 5.0, 6.0, 7.0]

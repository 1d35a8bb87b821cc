"""Random numbers: NumPy's own streams, drawn on the host whatever device uses them.

The same seed gives the same numbers on every device, because there is one stream. Generators are
NumPy's; their methods return xpu arrays. A library that is handed one (``scipy.stats.norm.rvs(random_state=rng)``)
asks for an instance of NumPy's class, and takes its draws for NumPy's arrays: both hold, on the same stream.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from types import FrameType
from typing import Any

import numpy as np
from numpy.random import MT19937, PCG64, PCG64DXSM, SFC64, BitGenerator, Philox, SeedSequence, bit_generator, mtrand

from xpu._block import Handle, anchor
from xpu._dispatch import call
from xpu._gate import gate
from xpu._op import Op
from xpu._wrap import host_call

__all__ = [
    "MT19937",
    "PCG64",
    "PCG64DXSM",
    "SFC64",
    "BitGenerator",
    "Generator",
    "Philox",
    "RandomState",
    "SeedSequence",
    "beta",
    "binomial",
    "bit_generator",
    "bytes",
    "chisquare",
    "choice",
    "default_rng",
    "dirichlet",
    "exponential",
    "f",
    "gamma",
    "geometric",
    "get_bit_generator",
    "get_state",
    "gumbel",
    "hypergeometric",
    "laplace",
    "logistic",
    "lognormal",
    "logseries",
    "mtrand",
    "multinomial",
    "multivariate_normal",
    "negative_binomial",
    "noncentral_chisquare",
    "noncentral_f",
    "normal",
    "pareto",
    "permutation",
    "poisson",
    "power",
    "rand",
    "randint",
    "randn",
    "random",
    "random_integers",
    "random_sample",
    "ranf",
    "rayleigh",
    "sample",
    "seed",
    "set_bit_generator",
    "set_state",
    "shuffle",
    "standard_cauchy",
    "standard_exponential",
    "standard_gamma",
    "standard_normal",
    "standard_t",
    "triangular",
    "uniform",
    "vonmises",
    "wald",
    "weibull",
    "zipf",
]


def _draw(name: str, method: Callable[..., Any], *, in_place: bool = False) -> Callable[..., Any]:
    """Return `method` taking and giving xpu arrays."""
    row = cache(lambda: Op(f"random.{name}", "host", method, None, arrays=()))

    def draw(*args: Any, **kwargs: Any) -> Any:
        if in_place:
            args = tuple(anchor(a) if isinstance(a, Handle) else a for a in args)
        return host_call(method, args, kwargs) if gate.open else call(row(), args, kwargs)

    draw.__name__ = draw.__qualname__ = name
    draw.__doc__ = method.__doc__
    return draw


_LIBRARIES = ("site-packages", "dist-packages")
_KNOWS_NUMPY_ALONE: dict[str, bool] = {}


def _asked_by_a_library(frame: FrameType) -> bool:
    """Return True where the code that draws is a library's, and its file does not import xpu."""
    path = frame.f_code.co_filename
    found = _KNOWS_NUMPY_ALONE.get(path)
    if found is None:
        ours = sys.modules["xpu"]
        knows_xpu = any(value is ours for value in frame.f_globals.values())  # `in` would compare a library's arrays
        found = _KNOWS_NUMPY_ALONE[path] = not knows_xpu and any(name in path for name in _LIBRARIES)
    return found


class _Drawn:
    """A method of a stream: made when first asked for, found in the stream itself from then on."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, stream: Any, owner: type) -> Any:
        if stream is None:
            return getattr(owner.__base__, self.name)
        theirs = getattr(stream._made, self.name)
        ours = _draw(self.name, theirs, in_place=self.name == "shuffle")

        @wraps(ours)
        def draw(*args: Any, **kwargs: Any) -> Any:
            return (theirs if _asked_by_a_library(sys._getframe(1)) else ours)(*args, **kwargs)

        stream.__dict__[self.name] = draw
        return draw


def _drawn() -> Any:
    return _Drawn()


class _Draws:
    """What both kinds of generators draw."""

    beta = _drawn()
    binomial = _drawn()
    bytes = _drawn()
    chisquare = _drawn()
    choice = _drawn()
    dirichlet = _drawn()
    exponential = _drawn()
    f = _drawn()
    gamma = _drawn()
    geometric = _drawn()
    gumbel = _drawn()
    hypergeometric = _drawn()
    laplace = _drawn()
    logistic = _drawn()
    lognormal = _drawn()
    logseries = _drawn()
    multinomial = _drawn()
    multivariate_normal = _drawn()
    negative_binomial = _drawn()
    noncentral_chisquare = _drawn()
    noncentral_f = _drawn()
    normal = _drawn()
    pareto = _drawn()
    permutation = _drawn()
    poisson = _drawn()
    power = _drawn()
    random = _drawn()
    rayleigh = _drawn()
    shuffle = _drawn()
    standard_cauchy = _drawn()
    standard_exponential = _drawn()
    standard_gamma = _drawn()
    standard_normal = _drawn()
    standard_t = _drawn()
    triangular = _drawn()
    uniform = _drawn()
    vonmises = _drawn()
    wald = _drawn()
    weibull = _drawn()
    zipf = _drawn()


class Generator(_Draws, np.random.Generator):
    """``numpy.random.Generator`` over a bit generator; its methods return xpu arrays."""

    def __init__(self, bit_generator: BitGenerator) -> None:
        super().__init__(bit_generator)
        self._made = np.random.Generator(bit_generator)  # whose own calls of its methods are NumPy's

    def spawn(self, n_children: int) -> list[Generator]:  # type: ignore[override]
        """Return independent child generators."""
        return [Generator(g.bit_generator) for g in self._made.spawn(n_children)]

    def __reduce__(self) -> tuple[Any, ...]:
        return Generator, (self.bit_generator,)

    integers = _drawn()
    multivariate_hypergeometric = _drawn()
    permuted = _drawn()


class RandomState(_Draws, np.random.RandomState):
    """``numpy.random.RandomState``: the frozen legacy generator; its methods return xpu arrays."""

    def __init__(self, seed: Any = None) -> None:
        self._made = np.random.RandomState(seed)
        super().__init__(self._made._bit_generator)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._made,)

    get_state = _drawn()
    rand = _drawn()
    randint = _drawn()
    randn = _drawn()
    random_integers = _drawn()
    random_sample = _drawn()
    seed = _drawn()
    set_state = _drawn()
    tomaxint = _drawn()


def _restored(made: np.random.RandomState) -> RandomState:
    """Rebuild a legacy generator from a pickle: its state is more than the bit generator's."""
    stream = RandomState(made._bit_generator)
    stream._made.set_state(made.get_state(legacy=False))
    return stream


def default_rng(seed: Any = None) -> Generator:
    """Return a generator with NumPy's exact stream.

    Parameters
    ----------
    seed : None, int, sequence of int, SeedSequence, BitGenerator or Generator, optional
        As in `numpy.random.default_rng`.

    Returns
    -------
    Generator
        Its draws are xpu arrays.

    Examples
    --------
    >>> import numpy, xpu
    >>> float(xpu.random.default_rng(7).normal()) == numpy.random.default_rng(7).normal()
    True
    """
    if isinstance(seed, Generator):
        return seed
    return Generator(np.random.default_rng(seed).bit_generator)


# fmt: off
beta = _draw("beta", np.random.beta)
binomial = _draw("binomial", np.random.binomial)
bytes = _draw("bytes", np.random.bytes)
chisquare = _draw("chisquare", np.random.chisquare)
choice = _draw("choice", np.random.choice)
dirichlet = _draw("dirichlet", np.random.dirichlet)
exponential = _draw("exponential", np.random.exponential)
f = _draw("f", np.random.f)
gamma = _draw("gamma", np.random.gamma)
geometric = _draw("geometric", np.random.geometric)
get_bit_generator = mtrand.get_bit_generator
set_bit_generator = mtrand.set_bit_generator
get_state = _draw("get_state", np.random.get_state)
gumbel = _draw("gumbel", np.random.gumbel)
hypergeometric = _draw("hypergeometric", np.random.hypergeometric)
laplace = _draw("laplace", np.random.laplace)
logistic = _draw("logistic", np.random.logistic)
lognormal = _draw("lognormal", np.random.lognormal)
logseries = _draw("logseries", np.random.logseries)
multinomial = _draw("multinomial", np.random.multinomial)
multivariate_normal = _draw("multivariate_normal", np.random.multivariate_normal)
negative_binomial = _draw("negative_binomial", np.random.negative_binomial)
noncentral_chisquare = _draw("noncentral_chisquare", np.random.noncentral_chisquare)
noncentral_f = _draw("noncentral_f", np.random.noncentral_f)
normal = _draw("normal", np.random.normal)
pareto = _draw("pareto", np.random.pareto)
permutation = _draw("permutation", np.random.permutation)
poisson = _draw("poisson", np.random.poisson)
power = _draw("power", np.random.power)
rand = _draw("rand", np.random.rand)
randint = _draw("randint", np.random.randint)
randn = _draw("randn", np.random.randn)
random = _draw("random", np.random.random)
random_integers = _draw("random_integers", np.random.random_integers)
random_sample = _draw("random_sample", np.random.random_sample)
ranf = _draw("ranf", np.random.ranf)
rayleigh = _draw("rayleigh", np.random.rayleigh)
sample = _draw("sample", np.random.sample)
seed = _draw("seed", np.random.seed)
set_state = _draw("set_state", np.random.set_state)
standard_cauchy = _draw("standard_cauchy", np.random.standard_cauchy)
standard_exponential = _draw("standard_exponential", np.random.standard_exponential)
standard_gamma = _draw("standard_gamma", np.random.standard_gamma)
standard_normal = _draw("standard_normal", np.random.standard_normal)
standard_t = _draw("standard_t", np.random.standard_t)
triangular = _draw("triangular", np.random.triangular)
uniform = _draw("uniform", np.random.uniform)
vonmises = _draw("vonmises", np.random.vonmises)
wald = _draw("wald", np.random.wald)
weibull = _draw("weibull", np.random.weibull)
zipf = _draw("zipf", np.random.zipf)
shuffle = _draw("shuffle", np.random.shuffle, in_place=True)
# fmt: on

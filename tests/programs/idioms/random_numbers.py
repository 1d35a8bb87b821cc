"""Every form of NumPy's random numbers, legacy and new."""

import random

import numpy as np

np.random.seed(3)
print(
    np.random.rand(2),
    np.random.randn(2, 2),
    np.random.randint(0, 10, 3),
    np.random.random(),
    np.random.uniform(1, 2, 2),
    np.random.choice(5, 3),
    np.random.normal(0, 1),
)
x = np.arange(6)
np.random.shuffle(x)
print(
    x,
    np.random.permutation(4),
    np.random.permutation(x),
    np.random.choice(x, 2, replace=False),
    np.random.choice(["a", "b"], p=[0.1, 0.9]),
    np.random.binomial(10, 0.5, 2),
)
state = np.random.get_state()
a = np.random.rand(2)
np.random.set_state(state)
print((a == np.random.rand(2)).all(), state[0])
rs = np.random.RandomState(7)
print(
    rs.rand(2),
    rs.randint(5),
    rs.normal(size=2),
    rs.choice([1, 2, 3]),
    rs.multivariate_normal([0, 0], np.eye(2)).round(4),
    isinstance(rs, np.random.RandomState),
)
rng = np.random.default_rng(11)
print(
    rng.random(2),
    rng.integers(0, 5, size=(2, 2)),
    rng.normal(),
    rng.standard_normal(2, dtype=np.float32),
    rng.choice(x, 3),
    rng.permutation(3),
    rng.exponential(size=1),
    isinstance(rng, np.random.Generator),
)
m = np.arange(6).reshape(2, 3)
rng.shuffle(m, axis=1)
print(
    m,
    rng.permuted(m, axis=0),
    rng.multinomial(5, [0.2, 0.8]),
    rng.dirichlet([1, 2]).round(4),
    rng.poisson(3),
    rng.bytes(2),
    rng.integers(2**40),
    rng.uniform(x, x + 1).round(3),
)
out = np.empty(2)
rng.random(out=out)
rng.standard_normal(out=out)
print(
    out,
    rng.normal(x[:2], [1, 2]),
    rng.spawn(2)[1].random(),
    rng.bit_generator.state["bit_generator"],
    type(rng).__name__,
)
g = np.random.Generator(np.random.MT19937(5))
print(
    g.random(),
    np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))).random(),
    np.random.SeedSequence(3).generate_state(2),
    np.random.Philox(1).random_raw(),
)
random.seed(1)
items = list(np.arange(5))
random.shuffle(items)
print(
    items,
    random.choice(np.arange(5)),
    random.sample(list(np.arange(5)), 2),
    rng.choice([[1, 2], [3, 4]], axis=0),
    rng.random((2, 0)).shape,
    np.random.default_rng(rng) is rng,
)

"""Custom array containers: NumPy's manual on __array__, __array_ufunc__, __array_function__, mixins."""

import numbers
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

HANDLED = {}


class DiagonalArray:
    def __init__(self, N, value):
        self._N = N
        self._i = value

    def __repr__(self):
        return f"{self.__class__.__name__}(N={self._N}, value={self._i})"

    def __array__(self, dtype=None, copy=None):
        return self._i * np.eye(self._N, dtype=dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method == "__call__":
            N = None
            scalars = []
            for input in inputs:
                if isinstance(input, numbers.Number):
                    scalars.append(input)
                elif isinstance(input, self.__class__):
                    scalars.append(input._i)
                    if N is not None and N != input._N:
                        raise TypeError("inconsistent sizes")
                    N = input._N
                else:
                    return NotImplemented
            return self.__class__(N, ufunc(*scalars, **kwargs))
        return NotImplemented

    def __array_function__(self, func, types, args, kwargs):
        if func not in HANDLED:
            return NotImplemented
        if not all(issubclass(t, self.__class__) for t in types):
            return NotImplemented
        return HANDLED[func](*args, **kwargs)


def implements(np_function):
    def decorator(func):
        HANDLED[np_function] = func
        return func

    return decorator


@implements(np.sum)
def sum_(arr, axis=None):
    return arr._i * arr._N


@implements(np.mean)
def mean_(arr):
    return arr._i / arr._N


arr = DiagonalArray(5, 1)
print(np.asarray(arr), np.multiply(arr, 2), np.sum(arr), np.mean(arr), np.sin(arr))
for bad in (
    lambda: np.median(arr),
    lambda: np.concatenate([arr, arr]),
    lambda: np.add(arr, DiagonalArray(6, 1)),
    lambda: np.add(arr, np.arange(5)),
    lambda: np.add.reduce(arr),
):
    try:
        print(bad())
    except TypeError as e:
        print("TypeError", str(e)[:60].replace("xpu", "numpy"))


class Logged(NDArrayOperatorsMixin):
    _HANDLED_TYPES = (np.ndarray, numbers.Number)

    def __init__(self, value):
        self.value = np.asarray(value)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        out = kwargs.get("out", ())
        for x in inputs + out:
            if not isinstance(x, self._HANDLED_TYPES + (Logged,)):
                return NotImplemented
        inputs = tuple(x.value if isinstance(x, Logged) else x for x in inputs)
        if out:
            kwargs["out"] = tuple(x.value if isinstance(x, Logged) else x for x in out)
        result = getattr(ufunc, method)(*inputs, **kwargs)
        if type(result) is tuple:
            return tuple(type(self)(x) for x in result)
        elif method == "at":
            return None
        return type(self)(result)

    def __repr__(self):
        return f"{type(self).__name__}({self.value!r})"


x = Logged([1, 2, 3])
print(x - 1, 1 - x, x + x, np.arange(3) - x, x**2, abs(-x), x > 1, np.modf(Logged([1.5])), x == x)
x += 1
print(x, np.add.accumulate(x), np.multiply.outer(x, np.array([1, 2])), x @ np.ones(3), np.array([1.0]) * Logged(2.0))
np.add.at(x, np.array([0, 0]), 10)
print(x, np.sin(x).value.round(3), np.add(x, 1, out=Logged([0, 0, 0])))


class Temp:
    __array_priority__ = 1000

    def __init__(self, v):
        self.v = v

    def __radd__(self, o):
        return "radd " + type(o).__name__ + str(np.asarray(o) + self.v)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.v, dtype=dtype)


class NoUfunc:
    __array_ufunc__ = None

    def __rmul__(self, o):
        return f"rmul {np.asarray(o)}"

    def __matmul__(self, o):
        return "matmul"

    def __rmatmul__(self, o):
        return "rmatmul"


print(
    np.arange(3) + Temp(1),
    np.arange(2) * NoUfunc(),
    np.float64(2) * NoUfunc(),
    np.ones(2).sum() + Temp(2),
    np.eye(2) @ NoUfunc(),
    NoUfunc() @ np.eye(2),
)
try:
    np.add(np.arange(3), NoUfunc())
except TypeError as e:
    print("TypeError", e)


class Vec(list):
    def __array__(self, dtype=None, copy=None):
        return np.array(list(self), dtype=dtype)

    def __len__(self):
        return 3


print(np.arange(3) + Vec([1, 2, 3]), np.dot(Vec([1, 2, 3]), [1, 1, 1]), np.stack([Vec([1, 2, 3]), np.zeros(3)]))


class Iface:
    def __init__(self):
        self.a = np.arange(4, dtype="i4")
        self.__array_interface__ = self.a.__array_interface__


print(
    np.asarray(Iface()),
    np.array(Iface()) + 1,
    np.array([np.float64(1), np.arange(3).sum(), np.array(2)]),
    np.array([np.arange(2), np.arange(2)]),
    np.array([[np.array(1), 2]]),
    np.array((np.ones(2), [3, 4])),
)


class Seq:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        if i > 2:
            raise IndexError
        return i * 2


print(
    np.array(Seq()),
    np.sum(Seq()),
    np.arange(3)[Seq() if False else [0, 2]],
    np.fromiter(Seq(), int),
    np.array(range(3)),
    np.array({1, 2}).dtype,
    np.array(x for x in range(3)).dtype,
    list(map(np.sqrt, [1, 4])),
    np.max([np.array([1, 2]), np.array([3, 0])], axis=0),
)

"""Subclassing ndarray: the recipes of NumPy's documentation."""

import numpy as np


class InfoArray(np.ndarray):
    def __new__(subtype, shape, dtype=float, buffer=None, offset=0, strides=None, order=None, info=None):
        obj = super().__new__(subtype, shape, dtype, buffer, offset, strides, order)
        obj.info = info
        return obj

    def __array_finalize__(self, obj):
        if obj is None:
            return
        self.info = getattr(obj, "info", None)


class RealisticInfoArray(np.ndarray):
    def __new__(cls, input_array, info=None):
        obj = np.asarray(input_array).view(cls)
        obj.info = info
        return obj

    def __array_finalize__(self, obj):
        if obj is None:
            return
        self.info = getattr(obj, "info", None)


class MySubClass(np.ndarray):
    def __new__(cls, input_array, info=None):
        obj = np.asarray(input_array).view(cls)
        obj.info = info
        return obj

    def __array_finalize__(self, obj):
        self.info = getattr(obj, "info", None)

    def __array_wrap__(self, out_arr, context=None, return_scalar=False):
        print("wrap", type(out_arr).__name__)
        return super().__array_wrap__(out_arr, context, return_scalar)


class A(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        args, in_no = [], []
        for i, input_ in enumerate(inputs):
            if isinstance(input_, A):
                in_no.append(i)
                args.append(input_.view(np.ndarray))
            else:
                args.append(input_)
        outputs = out
        if outputs:
            out_args = [o.view(np.ndarray) if isinstance(o, A) else o for o in outputs]
            kwargs["out"] = tuple(out_args)
        else:
            outputs = (None,) * ufunc.nout
        results = super().__array_ufunc__(ufunc, method, *args, **kwargs)
        if results is NotImplemented:
            return NotImplemented
        if method == "at":
            return
        if ufunc.nout == 1:
            results = (results,)
        results = tuple(np.asarray(r).view(A) if o is None else o for r, o in zip(results, outputs))
        if results and isinstance(results[0], A):
            results[0].info = {"inputs": in_no}
        return results[0] if len(results) == 1 else results


obj = InfoArray(shape=(3,), info="x")
obj[:] = 1
print(type(obj).__name__, obj.info, obj[1:].info, type(obj[1:]).__name__, (obj + 1).info)
arr = np.arange(5)
o = RealisticInfoArray(arr, info="information")
print(type(o).__name__, o.info, o[1:], type(o[1:]).__name__, o[1:].info, (o * 2).info, type(o.sum()).__name__)
o[0] = 50
print(
    arr,
    np.sqrt(o),
    type(np.sqrt(o)).__name__,
    o.mean(),
    np.concatenate([o, o]),
    type(arr + o).__name__,
    o.T.info,
    o.copy().info,
    o.reshape(5, 1).info,
)
m = MySubClass(np.arange(3), info="w")
r = np.add(np.arange(3), m)
print(r, type(r).__name__, r.info, m.max())
a = np.arange(5.0).view(A)
b = np.sin(a)
print(b, b.info, (a + a).info, np.add(np.ones(5), a).info)
a += 1
print(a, type(a).__name__, np.modf(a)[0])
c = np.ones(5)
np.add(c, a, out=c)
print(
    c,
    np.add.reduce(a),
    isinstance(a, np.ndarray),
    a.view(np.ndarray),
    type(np.asarray(a)) is np.ndarray,
    type(np.asanyarray(a)).__name__,
)
import pickle

print(type(pickle.loads(pickle.dumps(o))).__name__, np.array(o), np.array(o, subok=True).info)


class Q(np.ndarray):
    __array_priority__ = 10

    def __new__(cls, v, unit):
        q = np.array(v, dtype=float).view(cls)
        q.unit = unit
        return q

    def __array_finalize__(self, o):
        if o is not None:
            self.unit = getattr(o, "unit", "")

    def __mul__(self, other):
        r = super().__mul__(other)
        r.unit = f"{self.unit}*{getattr(other, 'unit', '1')}"
        return r

    def __repr__(self):
        return f"{super().__repr__()}[{self.unit}]"

    def __getitem__(self, k):
        return super().__getitem__(k)

    @property
    def total(self):
        return np.sum(np.asarray(self))


q = Q([1, 2, 3], "m")
print(q * Q(2, "s"), repr(q), q[:2].unit, q.total, 2 * q, q[0], (q > 1).unit, q.max())
print(np.linalg.norm(q), np.dot(q, q), np.where(q > 1, q, 0), np.mean(q), q.tolist(), len(q), [v for v in q], q.std())

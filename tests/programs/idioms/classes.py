"""The array class itself: its constructor, subclasses, annotations, copies, operator mixins, memory maps."""

import copy
import pickle
import tempfile
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

raw = bytearray(np.arange(6, dtype=np.int16).tobytes())
a = np.ndarray((2, 3), dtype=np.int16, buffer=raw)
a[0, 0] = 7
print(
    a,
    raw[:2],
    np.ndarray((2,), np.int16, raw, offset=2, strides=(4,)),
    np.ndarray(3).shape,
    np.ndarray((2, 2), order="F").flags.f_contiguous,
)
memory = shared_memory.SharedMemory(create=True, size=32)
try:
    shared = np.ndarray(4, dtype=np.float64, buffer=memory.buf)
    shared[:] = [1, 2, 3, 4]
    other = np.ndarray((2, 2), dtype=np.float64, buffer=memory.buf)
    other *= 2
    print(shared, shared.sum(), (shared + 1).tolist())
    del shared, other
finally:
    memory.close()
    memory.unlink()
for wrong in (lambda: np.ndarray(), lambda: np.ndarray((9,), np.int16, raw), lambda: np.ndarray("x")):
    try:
        wrong()
    except (TypeError, ValueError) as e:
        print(type(e).__name__)


class Tagged(np.ndarray):
    """As in NumPy's manual: made by view casting, finalised."""

    def __new__(cls, values, tag=None):
        made = np.asarray(values).view(cls)
        made.tag = tag
        return made

    def __array_finalize__(self, obj):
        if obj is not None:
            self.tag = getattr(obj, "tag", None)

    def doubled(self):
        return np.asarray(self) * 2


t = Tagged([1.0, 2.0], tag="metres")
t[0] = 5
print(
    type(t).__name__,
    t.tag,
    isinstance(t, np.ndarray),
    issubclass(Tagged, np.ndarray),
    t.sum(),
    t.doubled(),
    np.sqrt(t * t),
    len(t),
)
print(
    np.asarray(t + 1),
    np.array(t).tolist(),
    t.shape,
    t.dtype,
    [float(v) for v in t],
    np.concatenate([t, t]),
    t.max() > 4,
)


@dataclass
class State:
    x: np.ndarray
    y: Optional[np.ndarray] = None
    z: npt.NDArray[np.float64] | None = None


def step(s: State, k: np.ndarray | float, kind: "np.ndarray[Any, np.dtype[np.float64]]" = None) -> np.ndarray:
    return s.x * k


s = State(np.ones(2))
print(
    s,
    step(s, 2),
    copy.deepcopy(s),
    pickle.loads(pickle.dumps(s.x)),
    State.__annotations__["x"] is np.ndarray,
    np.ndarray[Any, Any] is not None,
)
print(
    isinstance(a, (np.ndarray, list)),
    isinstance(3, np.ndarray),
    isinstance(a.T, np.ndarray),
    issubclass(bool, np.ndarray),
    callable(np.ndarray),
)
print(
    isinstance(a, np.ndarray | list),
    isinstance(np.add, np.ufunc),
    isinstance(np.dtype(float), np.dtype),
    isinstance(a.flat, np.flatiter),
)


class Metres(NDArrayOperatorsMixin):
    def __init__(self, values):
        self.values = np.asarray(values)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        inputs = [x.values if isinstance(x, Metres) else x for x in inputs]
        return Metres(getattr(ufunc, method)(*inputs, **kwargs))


q = Metres([1.0, 2.0])
print(
    (q + 1).values,
    (2 * q).values,
    np.sqrt(q).values,
    (np.array([1.0, 1.0]) + q).values,
    np.add.reduce(q).values,
    (q < 1.5).values,
)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "m.dat"
    mm = np.memmap(path, dtype=np.float32, mode="w+", shape=(2, 3))
    mm[:] = np.arange(6).reshape(2, 3)
    mm[1] += np.ones(3, dtype=np.float32)
    mm.flush()
    back = np.memmap(path, dtype=np.float32, mode="r", shape=(2, 3))
    print(
        back.sum(),
        np.mean(back, axis=0),
        isinstance(back, np.ndarray),
        (np.ones(3) * back[1]).tolist(),
        np.array(back).tolist(),
    )
    del mm, back
    np.save(Path(folder) / "x.npy", a)
    print(np.load(Path(folder) / "x.npy", mmap_mode="r")[0].tolist(), np.fromfile(path, dtype=np.float32)[:2])
    a.tofile(path)
    print(np.fromfile(path, dtype=np.int16).tolist())
p = pickle.loads(pickle.dumps(a.T, protocol=2))
c = copy.copy(a)
c[0] = 0
print(
    p.flags.f_contiguous,
    p.tolist(),
    a[0].tolist(),
    copy.deepcopy({"a": a, "b": a})["a"].tolist(),
    a.copy("F").strides,
    a.__copy__().tolist(),
)
print(np.vectorize(lambda v, w=1: v * w, otypes=[float])(a, w=2), np.vectorize(np.dot, signature="(n),(n)->()")(a, a))
f = np.vectorize(lambda v: (v, -v))
print(f(a)[1], np.frompyfunc(divmod, 2, 2)(a, 2)[0].dtype, np.frompyfunc(lambda x, y: x + y, 2, 1).reduce(a[0]))
d = a.astype([("v", np.int16)]) if False else a.view(np.uint8)
print(
    d.shape,
    a.view("i2").dtype,
    a.view(dtype=np.uint16)[0, 0],
    a.view(np.ndarray).shape,
    a.view(type=np.ndarray).tolist(),
)

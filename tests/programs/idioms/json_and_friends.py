"""Values on their way out: json, csv, strings, pickles, struct, copies."""

import copy
import csv
import io
import json
import pickle
import struct

import numpy as np

x = np.linspace(0, 1, 5)


class Encoder(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, np.integer):
            return int(o)
        if isinstance(o, np.floating):
            return float(o)
        if isinstance(o, np.bool_):
            return bool(o)
        if isinstance(o, np.ndarray):
            return o.tolist()
        return super().default(o)


data = {"mean": x.mean(), "n": np.arange(3).sum(), "f32": x.astype(np.float32).max(), "a": x, "ok": x.any()}
print(json.dumps(data, cls=Encoder))
print(json.dumps({"mean": x.mean(), "list": [x.max(), 1.0], "values": x.tolist()}))
try:
    json.dumps({"n": np.arange(3).sum()})
except TypeError as e:
    print(e)
try:
    json.dumps(x)
except TypeError as e:
    print(e)
out = io.StringIO()
csv.writer(out).writerow([x.mean(), x.argmax(), *x])
print(out.getvalue().strip())
back = pickle.loads(pickle.dumps({"x": x, "s": x.sum()}))
print(back["x"], back["s"], type(back["x"]) is type(x), back["s"] == x.sum())
c, d = copy.copy(x), copy.deepcopy([x, x])
c[0] = 9
print(x[0], c[0], d[0] is d[1], d[0] is x, d[0])
print(
    struct.pack("<d", x[1]).hex(),
    struct.pack("<d", x.sum()).hex(),
    x.tobytes()[:8].hex(),
    bytes(np.arange(3, dtype=np.uint8)),
)
print(bytearray(np.arange(3, dtype=np.uint8)), np.arange(3).data.nbytes, b"".join([np.arange(2, dtype="u1").tobytes()]))
print(", ".join(map(str, x)), ",".join(f"{v:.2f}" for v in x), str(x), repr(x))
print(np.frombuffer(x.tobytes()), np.fromstring("1 2 3", sep=" "), np.array2string(x, precision=1, separator=","))
buffer = io.BytesIO()
np.save(buffer, x)
buffer.seek(0)
print(np.load(buffer))
buffer = io.BytesIO()
np.savez(buffer, a=x, b=x > 0.5)
buffer.seek(0)
with np.load(buffer) as f:
    print(f.files, f["a"], f["b"], sorted(f.keys()), "a" in f)
text = io.StringIO()
np.savetxt(text, x.reshape(-1, 1) * [1, 2], fmt="%.3f", delimiter=",", header="a,b")
print(text.getvalue())
text.seek(0)
print(np.loadtxt(text, delimiter=",", usecols=1))

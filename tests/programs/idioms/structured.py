"""Records, strings, dates, objects, masked arrays, polynomials, csv."""

import io

import numpy as np

csv = "name,age,height\nann,31,1.62\nbob,45,1.80\ncleo,,1.71\n"
t = np.genfromtxt(io.StringIO(csv), delimiter=",", names=True, dtype=None, encoding="utf-8")
print(
    t,
    t.dtype.names,
    t["age"],
    t["height"].mean(),
    t[t["height"] > 1.65]["name"],
    t[0],
    t[0]["name"],
    t["name"].tolist(),
)
t["age"][2] = 50
t[1] = ("rob", 44, 1.9)
t.sort(order="age")
print(t, len(t), [r["name"] for r in t], t[["name", "age"]][0])
for name, age, height in t:
    print(name, age + 1, height * 2)
r = np.rec.fromarrays([[1, 2], [3.5, 4.5]], names="a,b")
print(r.a, r.b.sum(), r[0].b, r)
z = np.zeros(2, dtype=[("pos", float, 3), ("id", "i4")])
z["pos"][0] = [1, 2, 3]
z["id"] += 5
print(z, z["pos"].shape, z.dtype.itemsize, z.view(np.uint8).size)
d = np.arange("2024-01", "2024-06", dtype="datetime64[M]")
days = d.astype("datetime64[D]")
print(
    d,
    days[1] - days[0],
    np.diff(days),
    (days[-1] - days[0]).astype(int),
    days + np.timedelta64(3, "D"),
    np.is_busday(days),
    days.max(),
)
print(
    np.datetime64("2024-02-29") + 1,
    days > np.datetime64("2024-03-01"),
    np.datetime_as_string(d),
    np.busday_count("2024-01", "2024-02"),
    d.tolist()[0],
)
week = (days.astype("datetime64[D]").view("int64") - 4) % 7
print(week, np.searchsorted(days, np.datetime64("2024-03-15")), np.isnat(np.array(["NaT", "2024"], "M8[Y]")))
s = np.array(["apple", "Banana", "cherry"])
print(
    np.char.upper(s),
    np.char.add(s, "!"),
    np.strings.find(s, "an"),
    s[np.char.startswith(s, "a")],
    np.sort(s),
    s == "apple",
    np.unique(s[[0, 0, 1]], return_counts=True),
)
print(
    np.char.split("a b"),
    s.astype("U3"),
    "-".join(s),
    s[0] + "x",
    s[1].lower(),
    np.array([len(v) for v in s]),
    np.where(s == "cherry")[0],
    s.tolist(),
)
o = np.array([{"k": 1}, (1, 2), 3], dtype=object)
print(
    o,
    o[0]["k"],
    o.dtype,
    [type(v).__name__ for v in o],
    np.array([1, "a", None], dtype=object) == np.array([1, "b", None], dtype=object),
)
m = np.ma.masked_invalid([1.0, np.nan, 3.0])
print(
    m.mean(),
    m.filled(0),
    m.mask,
    m + 1,
    np.ma.median(m),
    m.compressed(),
    np.ma.masked_where(np.arange(3) > 1, [1, 2, 3]),
    m.sum(),
    m.count(),
    np.ma.average([1, 2]),
)
g = np.ma.array(np.arange(6).reshape(2, 3), mask=[[0, 0, 1], [1, 0, 0]])
g[0, 0] = 9
print(g.mean(axis=0), g.max(), g.T.shape, np.ma.concatenate([g, g]).shape, g[g > 3], (g > 2).filled(False))
p = np.polynomial.Polynomial([1, 2, 3])
print(
    p(2),
    p.deriv()(np.array([1.0, 2.0])),
    p.roots().round(4),
    np.polynomial.Polynomial.fit(np.arange(5), np.arange(5) ** 2, 2).convert().coef.round(6) + 0.0,
)
q = np.poly1d([1, -3, 2])
print(
    q,
    q.roots,
    q(np.arange(3)),
    (q * q).coeffs,
    q.deriv(),
    np.polyval([1, 2], 3),
    np.roots([1, 0, -1]),
    np.polyfit(np.arange(4), 2 * np.arange(4) + 1, 1).round(6),
)
print(
    np.unique(np.array([[1, 2], [1, 2], [3, 4]]), axis=0),
    np.intersect1d([1, 2, 3], [2, 3]),
    np.union1d([1], [2]),
    np.setdiff1d([1, 2], [2]),
    np.isin([1, 2], [2]),
)
values, inverse, counts = np.unique([3, 1, 3], return_inverse=True, return_counts=True)
print(values, inverse, counts, values[counts.argmax()])
print(
    np.histogram([1, 2, 2, 5], bins=[0, 2, 4, 6]),
    np.bincount([0, 1, 1], weights=[1, 2, 3.5]),
    np.digitize([0.5, 2], [0, 1, 2]),
    np.percentile([1, 2, 3], [25, 50]),
)

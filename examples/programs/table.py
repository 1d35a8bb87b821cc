"""A comma-separated table: read with gaps, grouped, resampled by month, masked statistics, written again."""

import io

import numpy as np

rng = np.random.default_rng(13)
days = np.arange("2025-01-01", "2025-05-01", dtype="datetime64[D]")
level = 20 + 5 * np.sin(np.arange(days.size) / 20) + rng.normal(scale=0.5, size=days.size)
site = np.array(["north", "south", "west"])[rng.integers(0, 3, days.size)]
lines = ["day,site,level"]
lines += [
    f"{d},{s},{v:.3f}" if k % 11 else f"{d},{s}," for k, (d, s, v) in enumerate(zip(days, site, level, strict=True))
]
table = np.genfromtxt(io.StringIO("\n".join(lines)), delimiter=",", names=True, dtype="M8[D],U8,f8", encoding="utf-8")
print(table.dtype.names, table.shape, np.isnan(table["level"]).sum(), table[1])
known = np.ma.masked_invalid(table["level"])
month = table["day"].astype("datetime64[M]")
months, index = np.unique(month, return_inverse=True)
means = np.array([known[index == k].mean() for k in range(months.size)])
for m, v in zip(months, means, strict=True):
    print(m, f"{v:.3f}")
for name in np.unique(table["site"]):
    here = known[table["site"] == name]
    print(name, here.count(), f"{here.mean():.3f} {here.std():.3f} {np.ma.median(here):.3f}")
filled = np.where(
    np.isnan(table["level"]),
    np.interp(np.arange(days.size), np.flatnonzero(~known.mask), known.compressed()),
    table["level"],
)
week = filled[: filled.size // 7 * 7].reshape(-1, 7).mean(axis=1)
weekend = ~np.is_busday(table["day"])
out = io.StringIO()
np.savetxt(out, np.column_stack([np.arange(week.size), week])[:3], fmt=["%d", "%.3f"], delimiter=";")
print(
    out.getvalue().split(),
    weekend.sum(),
    np.busday_count("2025-01-01", "2025-05-01"),
    (table["day"].max() - table["day"].min()).astype(int),
)
RESULTS = {"means": means, "filled": filled, "week": week}

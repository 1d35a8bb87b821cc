"""Text, dates and records: dtypes that never leave the host, beside numbers that may."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 14
days = np.datetime64("2026-01-01") + np.arange(n)
load = np.round(10 + 3 * np.sin(np.arange(days.size)), 2)
table = np.zeros(days.size, dtype=[("day", "datetime64[D]"), ("load", float), ("name", "U8")])
table["day"], table["load"] = days, load
table["name"] = np.where(load > 10, "high", "low")
weekday = np.is_busday(days)
top = np.sort(table, order="load")[::-1][:3]
print(top["day"].tolist(), np.unique(table["name"]).tolist(), weekday.sum())
np.add.at(load, [0, 0, 1], 1.0)
print(np.histogram(load, bins=4)[0].tolist(), np.percentile(load, [25, 75]).round(3).tolist())
RESULTS = {"load": load, "weekday": weekday}

"""Letters and words of a text by bincount, unique, masks and outer comparisons."""

import numpy as np

text = (
    "the quick brown fox jumps over the lazy dog while the other dog sleeps and the fox runs over the hill "
    "nothing in the text is new but the counts are"
)
codes = np.frombuffer(text.encode(), dtype=np.uint8)
letters = codes[(codes >= 97) & (codes <= 122)] - 97
counts = np.bincount(letters, minlength=26)
top = np.argsort(-counts, kind="stable")[:5]
print(
    "".join(chr(97 + k) for k in top),
    counts[top].tolist(),
    f"{-(counts / counts.sum() * np.log2(np.maximum(counts, 1) / counts.sum())).sum():.4f}",
)
pairs = np.zeros((26, 26), dtype=int)
np.add.at(pairs, (letters[:-1], letters[1:]), 1)
i, j = np.unravel_index(pairs.argmax(), pairs.shape)
words, number = np.unique(np.array(text.split()), return_counts=True)
length = np.char.str_len(words)
print(chr(97 + i) + chr(97 + j), pairs.max(), words[number.argmax()], number.max(), np.bincount(length).tolist())
histogram, edges = np.histogram(length, bins=np.arange(1, 9))
print(histogram, edges, np.average(length, weights=number).round(4), words[length == length.max()])
RESULTS = {"counts": counts, "pairs": pairs, "histogram": histogram}

"""``lib.stride_tricks``: views made of shapes and strides, on the device where the bytes are."""

from xpu._ops.rest import as_strided, broadcast_arrays, broadcast_to, sliding_window_view

__all__ = ["as_strided", "broadcast_arrays", "broadcast_to", "sliding_window_view"]

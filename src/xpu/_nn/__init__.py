"""What `xpu.nn` is made of: rows over raw arrays of any library."""

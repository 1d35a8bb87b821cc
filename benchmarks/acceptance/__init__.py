"""The parts of the acceptance run (`benchmarks/gpu_acceptance.py`)."""

"""Which GPU measurements and checks run on, or a sentence and status 1 where there is none.

python -m benchmarks.gpu_device
"""

import os
import sys

import torch


def what_is_missing() -> str | None:
    """Say why CUDA programs can't run here, None if they can."""
    if os.environ.get("TRITON_INTERPRET", "0") not in {"", "0"}:
        return "TRITON_INTERPRET in the environment: programs would run on the CPU"
    if not torch.cuda.is_available():
        build = torch.version.cuda or "the CPU"
        return f"none that PyTorch {torch.__version__}, a build for {build}, can see"
    return None


def describe() -> str:
    """Return the GPU's name, memory and processors, and the versions that drive it."""
    properties = torch.cuda.get_device_properties(0)
    return (
        f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB,"
        f" {properties.multi_processor_count} processors, CUDA {torch.version.cuda}"
    )


def main() -> int:
    """Print which GPU there is; return the exit status."""
    missing = what_is_missing()
    if missing is not None:
        print(f"this needs a GPU, and there is {missing}", file=sys.stderr)
        return 1
    print(describe())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""evonet as it is, on a processor that lacks the vectors of 16 numbers that this one may have.

What it is compiled for besides is said by variables that NumPy, Numba and OpenBLAS read themselves.

python -m bench.older_evonet evolve --data iris
"""

from __future__ import annotations

from llvmlite import binding

if __name__ == "__main__":
    binding.get_host_cpu_features = dict  # which says of every feature that it is not there
    from evonet.__main__ import main

    main()

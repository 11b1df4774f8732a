"""evonet as it is, but that it takes this processor for one without vectors of 16 numbers.

Which instructions NumPy, Numba and OpenBLAS use is said by variables that they read themselves.

python -m bench.older_evonet evolve --data iris
"""

from __future__ import annotations

from llvmlite import binding

if __name__ == "__main__":
    binding.get_host_cpu_features = dict  # which says of every feature that it is not there
    from evonet.__main__ import main

    main()

"""evonet evolves neural-network architectures on your own data."""

__version__ = "0.1.0"

"""What a network is, before any framework: genes, genomes, and the space they come from."""

from evonet.genome.genome import Genome, Layer
from evonet.genome.space import SearchSpace

__all__ = ["Genome", "Layer", "SearchSpace"]

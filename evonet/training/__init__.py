"""From genomes to evaluations: the networks, and the evaluators that train them."""

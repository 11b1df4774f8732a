"""From evaluations to the next genomes: variation, selection, and the search that uses both."""

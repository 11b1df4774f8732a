"""What is written down: the record of a run and the cache of scores, both SQLite."""

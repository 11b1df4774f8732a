"""What ``bench_training.py`` is made of: its parts, the processes they measure, the arithmetic."""

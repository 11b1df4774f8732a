"""What happens to the winner: baselines to hold it against, its final fit and test, prediction."""

"""What is to be said of a fitted network: how it learned, its layers, its predictions, advice."""

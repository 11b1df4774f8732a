"""What is odd about data, said before anything is trained. It advises, and changes nothing."""

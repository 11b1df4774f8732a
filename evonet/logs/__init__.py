"""The candidates of a run in the files of tools that people already use: TensorBoard, Optuna."""

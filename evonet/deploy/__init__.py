"""Where a winner goes: files of other runtimes, raw columns in, classes or quantities out."""

"""From a file to arrays that networks train on: read, check, split, prepare.

``load_dataset`` in ``dataset.py`` is the sentence; the other modules are its words.
"""

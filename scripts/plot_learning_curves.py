"""Draw the learning_curves figure of a run: python scripts/plot_learning_curves.py RUN"""

import sys

from evonet.report.figures import main

sys.exit(main("learning_curves"))

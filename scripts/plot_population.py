"""Draw the population figure of a run: python scripts/plot_population.py RUN"""

import sys

from evonet.report.figures import main

sys.exit(main("population"))

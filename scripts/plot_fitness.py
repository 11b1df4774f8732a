"""Draw the fitness figure of a run: python scripts/plot_fitness.py RUN"""

import sys

from evonet.report.figures import main

sys.exit(main("fitness"))

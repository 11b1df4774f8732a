"""Draw the front figure of a run: python scripts/plot_front.py RUN"""

import sys

from evonet.report.figures import main

sys.exit(main("front"))

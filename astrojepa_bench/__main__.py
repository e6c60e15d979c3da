"""`python -m astrojepa_bench` is the command line."""

import sys

from astrojepa_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())

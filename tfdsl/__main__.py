"""`python -m tfdsl` is `tfdsl`."""

import sys

from tfdsl.cli import start

if __name__ == "__main__":
    sys.exit(start())

"""`python -m tfdsl` is `tfdsl`."""

import sys

from tfdsl.cli import main

if __name__ == "__main__":
    sys.exit(main())

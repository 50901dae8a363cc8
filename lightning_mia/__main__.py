"""`python -m lightning_mia`, the same as `lightning-mia`."""

import sys

from lightning_mia.audit.cli import main

sys.exit(main())

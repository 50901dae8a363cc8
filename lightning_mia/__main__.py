"""`python -m lightning_mia` is `lightning-mia`."""

import sys

from lightning_mia.audit.cli import main

sys.exit(main())

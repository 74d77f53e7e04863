"""`python -m scalableapp` starts the operator."""

import sys

from scalableapp.process import main

sys.exit(main())

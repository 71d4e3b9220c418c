"""The stream worker, to which a single record is a backlog: the processes that decode are at work from the start."""

import sys

from streaming.__main__ import main
from streaming.decoders import ahead

ahead.START_RECORDS = 1
ahead.BACKLOG_RECORDS = 1
ahead.LEAST_RECORDS = 1
ahead.BEHIND_S = 0.0
ahead.RETRY_S = 0.2
sys.exit(main())

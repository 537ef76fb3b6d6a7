"""What a pool may preload: this is fine, and tells where it was imported."""

import os

IMPORTED_BY = os.getpid()

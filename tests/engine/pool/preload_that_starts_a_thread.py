"""What a pool may not preload."""

import threading

threading.Thread(target=threading.Event().wait, name="a preload's", daemon=True).start()

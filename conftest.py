"""What concerns every test of the checkout, those of the examples too."""

import os
import sys
import threading
from functools import partial

pytest_plugins = ["quorum.pytest_plugin", "pytester"]

# A lock of coverage's may be held by a thread of the parent at the moment of a fork, and a child
# that is traced would wait for it for ever. Registered first, so that no other hook is traced.
os.register_at_fork(after_in_child=partial(sys.settrace, None))
os.register_at_fork(after_in_child=partial(threading.settrace, None))

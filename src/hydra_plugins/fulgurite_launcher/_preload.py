"""What the fork server imports, so that a job starts in milliseconds: all that a job needs. It touches no device.

Imported there alone.
"""

import atexit
import gc
import importlib
import pkgutil
import signal
from contextlib import suppress

# Ctrl-C in a terminal is for the first process; imports do not take it well.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import torch.utils.tensorboard  # noqa: E402, F401

import fulgurite.build  # noqa: E402
import fulgurite.callbacks  # noqa: E402
import fulgurite.data  # noqa: E402
import fulgurite.fit  # noqa: E402
import fulgurite.models  # noqa: E402
import fulgurite.training  # noqa: E402
from hydra_plugins.fulgurite_launcher import _child  # noqa: E402, F401

for _package in (fulgurite.models, fulgurite.data, fulgurite.callbacks, fulgurite.training):
    for _module in pkgutil.iter_modules(_package.__path__, f"{_package.__name__}."):
        # Told by the job that needs it.
        with suppress(ImportError):
            importlib.import_module(_module.name)

# Shared with all jobs as long as nobody writes to it, as the collector does.
gc.collect()
gc.freeze()
# Libraries look for what was left over at the very end.
atexit.register(gc.unfreeze)
# A job that has not begun ends without a word; the fork server itself does not listen.
signal.signal(signal.SIGINT, signal.SIG_DFL)

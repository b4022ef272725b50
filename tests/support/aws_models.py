"""AWS's service models, of several MB each: read once by all sessions of a test process."""

from __future__ import annotations

import gc
import sys
from functools import cache

MANY_SHAPES = 1000
"""A model with more, EC2's, is kept out of garbage collections: each would take 0.1 s longer."""


def share():
    """Give every session of botocore the same loader; nothing where botocore is not loaded."""
    if "botocore.session" not in sys.modules:
        return
    import botocore.session
    from botocore.loaders import JSONFileLoader, create_loader

    class Files(JSONFileLoader):
        def load_file(self, file_path):
            loaded = super().load_file(file_path)
            if loaded and len(loaded.get("shapes", ())) > MANY_SHAPES:
                gc.collect()
                gc.freeze()
            return loaded

    @cache
    def shared(search_path_string=None):
        loader = create_loader(search_path_string)
        loader.file_loader = Files()
        return loader

    botocore.session.create_loader = shared

"""A boto3 session that knows the calls of a node alone: see `small_model`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import OrderedDict
from typing import Any

from ipam_core.cloud import small_model
from ipam_core.errors import MissingExtraError

try:
    import boto3
    import botocore.session
    from botocore.loaders import JSONFileLoader, create_loader
except ModuleNotFoundError as missing:
    raise MissingExtraError("aws", "AwsCloud") from missing

_PATIENCE_S = 60.0


def small_session(region: str) -> boto3.Session:
    """Return a session whose EC2 clients have the operations of `small_model.CALLS` alone."""
    inner = botocore.session.Session()
    loader = create_loader(inner.get_config_variable("data_path"))
    loader.file_loader = _SmallFiles()
    inner.register_component("data_loader", loader)
    return boto3.Session(botocore_session=inner, region_name=region)


class _SmallFiles(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """Reads botocore's files; of the two large ones what a node needs."""

    def load_file(self, file_path: str) -> Any:
        """Return what a file holds, None where there is none of that name."""
        if not small_model.is_large(file_path):
            return super().load_file(file_path)
        command = [sys.executable, "-m", small_model.__name__, file_path]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=True)
            return json.loads(done.stdout, object_pairs_hook=OrderedDict)
        except (OSError, ValueError, subprocess.SubprocessError):  # no process could be made
            return small_model.reduced(file_path, super().load_file(file_path))

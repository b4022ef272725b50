"""A session that knows the calls of a node alone, without boto3: see `small_model`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import OrderedDict
from typing import Any

from ipam_core._extras import extra
from ipam_core.cloud import small_model

with extra("aws", "AwsCloud"):
    import botocore.session
    from botocore.loaders import JSONFileLoader, create_loader

_PATIENCE_S = 60.0


class SmallSession:
    """What `Ec2` uses of a boto3 session; its clients have `small_model.CALLS` alone."""

    def __init__(self, region: str) -> None:
        self.region_name = region
        self._inner = botocore.session.Session()
        loader = create_loader(self._inner.get_config_variable("data_path"))
        loader.file_loader = _SmallFiles()
        self._inner.register_component("data_loader", loader)

    def client(self, service: str, **options: Any) -> Any:
        """Return a client of a service; the options are boto3's."""
        return self._inner.create_client(service, region_name=self.region_name, **options)

    def sign_anyhow(self) -> None:
        """Sign with some credentials where there are none, for a server that asks for none."""
        if self._inner.get_credentials() is None:
            self._inner.set_credentials("none", "none")


class _SmallFiles(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """Reads botocore's files; of the two large ones what a node needs."""

    def load_file(self, file_path: str) -> Any:
        """Return what a file holds, None where there is none of that name."""
        if not (small_model.is_large(file_path) and self.exists(file_path)):
            return super().load_file(file_path)
        command = [sys.executable, "-m", small_model.__name__, file_path]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=True)
            return json.loads(done.stdout, object_pairs_hook=OrderedDict)
        except (OSError, ValueError, subprocess.SubprocessError):  # no process could be made
            return small_model.reduced(file_path, super().load_file(file_path))

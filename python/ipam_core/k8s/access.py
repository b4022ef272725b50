"""Which cluster is meant, found as kubectl finds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core.errors import InputError, MissingExtraError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KUBECONFIG = "KUBECONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where an API server is, and who asks. Without `kubeconfigs`: by the service account.

    `context` "" is the current one of the kubeconfigs.
    """

    kubeconfigs: tuple[Path, ...] = ()
    context: str = ""
    service_account: Path = SERVICE_ACCOUNT

    @classmethod
    def find(
        cls,
        *,
        kubeconfig: Path | None = None,
        context: str = "",
        variables: Mapping[str, str] | None = None,
        service_account: Path = SERVICE_ACCOUNT,
    ) -> Self:
        """Return the cluster that kubectl would take.

        That is `kubeconfig`, else the files that KUBECONFIG lists, else ~/.kube/config, else the
        service account of the pod that this runs in. `variables` left out: the environment.

        Raises:
            InputError: there is none of them, or `kubeconfig` is no file.
        """
        variables = os.environ if variables is None else variables
        if kubeconfig is not None:
            if not kubeconfig.is_file():
                raise InputError(f"kubeconfig {str(kubeconfig)!r}: no such file")
            return cls(kubeconfigs=(kubeconfig,), context=context)
        listed = [Path(each) for each in variables.get(KUBECONFIG, "").split(os.pathsep) if each]
        usual = Path(variables.get("HOME", "~")).expanduser() / ".kube" / "config"
        found = tuple(path for path in listed or [usual] if path.is_file())
        if found:
            return cls(kubeconfigs=found, context=context)
        looked = ", ".join(map(str, listed or [usual]))
        if context:
            raise InputError(f"context {quoted(context)}: no kubeconfig ({looked})")
        if not (service_account / "token").is_file():
            raise InputError(
                f"no cluster: no kubeconfig ({looked}), and this is no pod with a service "
                "account; give --kubeconfig FILE"
            )
        return cls(service_account=service_account)

    @property
    def described(self) -> str:
        """What a message calls it."""
        if not self.kubeconfigs:
            return f"service account {self.service_account}"
        files = os.pathsep.join(map(str, self.kubeconfigs))
        return f"kubeconfig {files}" + (f", context {self.context}" if self.context else "")


def need_kr8s(purpose: str) -> None:
    """Raise `MissingExtraError` where kr8s is not installed; it is not loaded."""
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("kr8s") is None:
        raise MissingExtraError("k8s", purpose)


async def open_api(access: Access) -> Any:
    """Return kr8s' connection to a cluster, its credentials read; nothing was asked yet.

    It belongs to the loop that it is opened in: `close_api` closes it.
    """
    with extra("k8s", "reading a cluster"):
        from kr8s.asyncio import Api  # noqa: PLC0415  (heavy)

    # Without a kubeconfig kr8s would take the user's own.
    none = str(access.service_account / "no-kubeconfig")
    # Not by kr8s.asyncio.api(): it asks for the version of each API server too, and leaves its
    # connection open where that fails.
    api = Api(
        kubeconfig=os.pathsep.join(map(str, access.kubeconfigs)) or none,
        serviceaccount=str(access.service_account),
        context=access.context or None,
        bypass_factory=True,
    )
    try:
        await api.auth
    except BaseException:
        remove_written(api)
        raise
    return api


async def close_api(api: Any) -> None:
    """Close a connection, which kr8s leaves to the garbage collector, and its files.

    kr8s writes certificates and keys that a kubeconfig holds to files of their own, and never
    removes them.
    """
    session = getattr(api, "_session", None)
    if session is not None:
        await session.aclose()
    remove_written(api)


_WRITTEN = (
    ("_user", "client-key-data", "client_key_file"),
    ("_user", "client-certificate-data", "client_cert_file"),
    ("_cluster", "certificate-authority-data", "server_ca_file"),
)


def remove_written(api: Any) -> None:
    """Remove the files of certificates and keys that kr8s wrote for a connection.

    They are read when the first request is made, and not needed after it.
    """
    for holder, key, attribute in _WRITTEN:
        path = getattr(api.auth, attribute, None)
        if path and key in (getattr(api.auth, holder, None) or {}):
            Path(path).unlink(missing_ok=True)

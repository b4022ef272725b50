"""The command line: the only layer that prints. `main` is the entry point.

_app.py        the whole, and exit statuses; _commands.py: all commands, each in a module of its own
_coerce.py     arguments as values
_options.py    options that commands share; _given.py: options of settings and types
_own_policy.py  a policy of one's own, by its module and name
_out.py        how everything is printed; _tables.py: tables; _warnings.py: the library's warnings
_timeline.py   a run as a table; _fleet.py: a fleet; _outcomes.py: outcomes of settings
_levels.py     the levels of explain
_explain_text.py, _explain_compare.py, _explain_machine.py, _explain_all.py   what explain shows
_cluster_text.py  what cluster shows; _doctor_node.py: a node for doctor
_subnet_text.py, _forecast_text.py   what subnet shows
_demo_live.py  the incident on a running agent; _pool_rows.py: a pool as rows
_pods_text.py  what pods says; _record_live.py: the live half of record
kubectl.py     the plugin of kubectl
_processes.py  work on several processes

May import: cli, web, plots, and below.
"""

from __future__ import annotations

import gc
import sys

from ipam_core._extras import extra
from ipam_core.errors import MissingExtraError

_NEW_OBJECTS = 60_000
"""How many start a garbage collection: a command's loading makes as many, and drops none."""


def main() -> None:
    """Run the command line and end the process with its exit status."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        if sys.argv[1:] == ["--version"] and _tell_version():
            raise SystemExit(0)
        with extra("cli", "the command line"):
            from ipam_core.cli._app import run

        status = run()
    except MissingExtraError as missing:
        from ipam_core.cli._out import print_error

        print_error(str(missing))
        status = 2
    except KeyboardInterrupt:  # during loading, or the second one
        status = 130
    gc.freeze()
    raise SystemExit(status)


def _tell_version() -> bool:
    """Print the version without loading any command; False if the output cannot be written."""
    from ipam_core.cli._out import prepare_streams, print_version

    try:
        prepare_streams()
        print_version()
    except OSError:  # the output is left open: `run` gets it again, and reports it
        return False
    return True

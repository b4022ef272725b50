"""The command line, run in this process."""

from ipam_core.cli._app import run


def called(capsys, *arguments):
    """Run `ipam-core` with arguments; return (status, standard output, error output)."""
    status = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err

"""The command line, run in this process."""


def called(capsys, *arguments):
    """Run `ipam-core` with arguments; return (status, standard output, error output)."""
    from ipam_core.cli._app import run  # not there where the core alone is tested

    status = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def show_colours(monkeypatch):
    """Let Rich take the streams for terminals, with a console that later tests do not get."""
    from ipam_core.cli import _out

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_out, "_console", _out._console.__wrapped__)


INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from ipam_core.cli import main; main()"
)
"""The command with Python's handler of Ctrl-C, which what runs these tests may have taken off."""

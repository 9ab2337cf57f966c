"""The console script `edge-rnn`: a click group that loads a subcommand only when it is needed.

COMMANDS lists the runtime's own commands; other packages add theirs through entry points of the group
`edge_rnn.commands`. An entry point must be importable with click alone: what its command needs is
imported when the command runs.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from edge_runtime import __version__
from edge_runtime.errors import EdgeRnnError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

COMMANDS = {
    "bench": "edge_runtime.commands.bench:bench",
    "doctor": "edge_runtime.commands.doctor:doctor",
    "predict": "edge_runtime.commands.predict:predict",
    "stream": "edge_runtime.commands.stream:stream",
    "verify": "edge_runtime.commands.verify:verify",
}
"""The runtime's own commands -> module:function. Entry points are searched only for other names."""

ENTRY_POINT_GROUP = "edge_rnn.commands"


def _entry_points() -> dict[str, EntryPoint]:
    from importlib import metadata

    if sys.version_info >= (3, 10):
        return {point.name: point for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}
    return {point.name: point for point in metadata.entry_points().get(ENTRY_POINT_GROUP, [])}


class LazyGroup(click.Group):
    """Finds subcommands by name, imports the requested one, and turns our errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, sorted."""
        return sorted({*COMMANDS, *_entry_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None for an unknown name."""
        if cmd_name in COMMANDS:
            module, _, function = COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), function)
            return command
        point = _entry_points().get(cmd_name)
        return None if point is None else point.load()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes one line on standard error and an exit code."""
        if isinstance(
            sys.stdout, io.TextIOWrapper
        ):  # labels and names may hold characters that the terminal lacks
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except EdgeRnnError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            raise  # the reader of our output is gone: click ends quietly
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"Error: {where}{error.strerror or error}", err=True)
            ctx.exit(EdgeRnnError.exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-rnn")
def main() -> None:
    """Train an LSTM sequence classifier, convert it to a small TFLite file, and run it on a device."""

"""Options under headings in a command's help, and refusals in our own sentences. Needs click alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Callable

import click
from click.core import ParameterSource

from edge_runtime.errors import InputError

Decorator = Callable[[Any], Any]

OTHER = "Other options"


class HeadedOption(click.Option):
    """An option that knows the heading under which the help lists it."""

    def __init__(self, *names: Any, heading: str = OTHER, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.heading = heading


def option(heading: str, *names: str, **attributes: Any) -> Decorator:
    """`click.option`, listed under `heading`."""
    return click.option(*names, cls=HeadedOption, heading=heading, **attributes)


class GroupedCommand(click.Command):
    """A command whose help lists its options under their headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        records: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                records.setdefault(getattr(parameter, "heading", OTHER), []).append(record)
        for heading in sorted(records, key=lambda name: name == OTHER):  # the others come last
            with formatter.section(heading):
                formatter.write_dl(records[heading])


class NamedChoice(click.Choice):  # type: ignore[type-arg]  # it is generic since click 8.2
    """A choice whose refusal is one sentence, as those of all other bad input are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`value` itself. Raises InputError that lists the choices."""
        if value in self.choices:
            return value
        name = "The choice" if param is None else param.opts[0]
        raise InputError(f"{name}: cannot be {value!r}. Choose {', '.join(self.choices)}.")


def refuse_others(context: click.Context, option: str, allowed: Collection[str]) -> None:
    """Raises InputError for an option on the command line that has no meaning with `option`.

    `option`: as it is typed, with its dashes. `allowed`: names of parameters.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in allowed and isinstance(parameter, click.Option):
            raise InputError(
                f"{parameter.opts[0]}: has no meaning with {option}. Leave one of them out."
            )

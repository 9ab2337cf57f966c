"""python -m tests.fuzz: runs many mutations and prints the table of their outcomes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from tests.fuzz.campaign import TRUST, can_run, explained, run_target, table, write_seeds_once
from tests.fuzz.targets import TARGETS

TRUST_SHARE = 20
"""The number of other mutations for each of these, which have a process of their own."""

Target = click.Choice(list(TARGETS))


@click.command()
@click.option("--mutations", default=20_000, show_default=True, help="Of each target; trust: a 20th.")
@click.option("--seed", default=0, show_default=True, help="Another one gives other mutations.")
@click.option("--target", "chosen", multiple=True, type=Target, help="Only this one.")
@click.option("--first", default=0, help="Number of the first mutation, to see one again.")
@click.option("--folder", type=click.Path(path_type=Path), help="For the files of findings.")
def main(mutations: int, seed: int, chosen: tuple[str, ...], first: int, folder: Path | None) -> None:
    """Mutate valid files and give them to the product. The exit code is 1 if there are findings.

    A target, the seed and a number identify a mutation. The files of a finding are named by its number.
    """
    folder = folder or Path(tempfile.mkdtemp(prefix="edge-rnn-fuzz-"))
    write_seeds_once(folder)
    counts = []
    for name in chosen or filter(can_run, TARGETS):
        many = -(-mutations // TRUST_SHARE) if name.startswith(TRUST) else mutations
        counts.append(run_target(name, seed, many, folder, first))
        click.echo(" ".join(counts[-1].row()), err=True)
    click.echo(table(counts))
    findings = explained(counts)
    click.echo("\n".join(findings), nl=bool(findings))
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()

"""python -m tests.fuzz: many mutations, and the table of what they came to."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from tests.fuzz.campaign import TRUST, explained, run_target, table, write_seeds_once
from tests.fuzz.targets import TARGETS

TRUST_SHARE = 20
"""Each of these mutations has a process of its own, so there is one for so many of the others."""

Target = click.Choice(list(TARGETS))


@click.command()
@click.option("--mutations", default=20_000, show_default=True, help="Of each target; trust: a 20th.")
@click.option("--seed", default=0, show_default=True, help="Another one gives other mutations.")
@click.option("--target", "chosen", multiple=True, type=Target, help="Only this one.")
@click.option("--first", default=0, help="Number of the first mutation, to see one again.")
@click.option("--folder", type=click.Path(path_type=Path), help="For the files of findings.")
def main(mutations: int, seed: int, chosen: tuple[str, ...], first: int, folder: Path | None) -> None:
    """Mutate sound files, and see what the product does with them. Exit code 1 for findings.

    A target, the seed and a number name a mutation: files of findings are under their number.
    """
    folder = folder or Path(tempfile.mkdtemp(prefix="edge-rnn-fuzz-"))
    write_seeds_once(folder)
    counts = []
    for name in chosen or TARGETS:
        many = -(-mutations // TRUST_SHARE) if name.startswith(TRUST) else mutations
        counts.append(run_target(name, seed, many, folder, first))
        click.echo(" ".join(counts[-1].row()), err=True)
    click.echo(table(counts))
    findings = explained(counts)
    click.echo("\n".join(findings), nl=bool(findings))
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()

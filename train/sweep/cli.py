"""The command `edge-rnn sweep`. Importable with click alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_runtime.errors import InputError


@click.command()
@click.argument("spec", type=click.Path(), metavar="SPEC.toml")
@click.option(
    "--out",
    required=True,
    type=click.Path(),
    help="The folder for the study, the table and the picture of the front, and chosen models.",
)
@click.option(
    "--storage",
    metavar="URL",
    help="A database that keeps the study, such as postgresql://USER@HOST/NAME, for several machines. "
    "Default: a file in --out.",
)
@click.option("--trials", type=int, help="The number of trials, instead of the one in SPEC.toml.")
@click.option(
    "--choose",
    type=int,
    metavar="TRIAL",
    help="Make the model of this trial, and look at the test split for it.",
)
def sweep(spec: str, out: str, storage: str | None, trials: int | None, choose: int | None) -> None:
    """Search for classifiers that are accurate, small and fast.

    SPEC.toml names the data, what is fixed and what is tried. Each trial is trained, converted and
    measured on validation windows. The trials that no other one beats are shown as a table, with the
    commands that make them, and as a picture.

    The same command continues an interrupted sweep. Started several times, the processes share the
    trials.
    """
    from dataclasses import replace

    from train.sweep.spec import read_spec

    if choose is not None and trials is not None:
        raise InputError("--trials: has no meaning with --choose. Leave one of them out.")
    read = read_spec(spec)
    if trials is not None:
        if trials < 1:
            raise InputError(f"--trials: expected at least 1, found {trials}.")
        read = replace(read, trials=trials)
    if choose is None:
        _run(read, Path(out), storage)
    else:
        _choose(read, Path(out), storage, choose)


def _run(spec: Any, out: Path, storage: str | None) -> None:
    from train.sweep.run_sweep import run_sweep

    report = run_sweep(spec, out, storage=storage, progress=click.echo)
    click.echo(report)
    click.echo(f"written: {out / 'front.md'}, {out / 'front.json'}, {out / 'front.png'}")


def _choose(spec: Any, out: Path, storage: str | None, number: int) -> None:
    from train.sweep.run_sweep import choose

    click.echo(choose(spec, out, number, storage=storage))

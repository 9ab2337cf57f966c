"""The command `edge-rnn parity`. Importable with click alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from convert.source_options import read_options, source_options
from edge_runtime.commands.option_groups import GroupedCommand, option
from edge_runtime.errors import InputError

outputs = partial(option, "Files to write")
limits = partial(option, "Budget")
windows = partial(option, "Calibration and proof")


@click.command(cls=GroupedCommand)
@click.argument("reference", type=click.Path())
@click.argument("models", nargs=-1, required=True, type=click.Path(), metavar="MODEL...")
@outputs("--report", type=click.Path(), help="Write a page for a browser, one HTML file.")
@outputs("--json", "json_path", type=click.Path(), help="Write the record as JSON.")
@outputs("--junit", type=click.Path(), help="Write JUnit XML for a CI system.")
@outputs(
    "--vectors",
    type=click.Path(),
    metavar="FOLDER",
    help="Write golden vectors: windows with the exact inputs and outputs of each MODEL as .npy, .csv "
    "and a C header.",
)
@limits(
    "--baseline",
    type=click.Path(),
    metavar="FILE",
    help="An older --json. Show the difference to it, and fail if a MODEL is worse by more than noise.",
)
@limits(
    "--min-agreement",
    type=float,
    help="The smallest fraction of windows, 0 to 1, that must get the reference's class. Default: the "
    "budget in each MODEL.",
)
@limits(
    "--max-logit-difference",
    type=float,
    help="The largest difference allowed in any logit. Default: the budget in each MODEL.",
)
@limits(
    "--max-error",
    type=float,
    help="Of a regression or an embedding: the largest root mean square error of an output, in standard "
    "deviations of the reference's output. Default: the budget in each MODEL.",
)
@limits(
    "--min-cosine",
    type=float,
    help="Of an embedding: the smallest cosine with the reference's vector. Default: the budget in each "
    "MODEL.",
)
@limits("--strict", is_flag=True, help="Fail also if there are too few windows to prove the budget.")
@source_options(
    "An .npz file with windows x [N, steps, features], their classes y [N] if you know them, and group "
    "[N] if they belong to persons, devices, ... For a run directory: instead of its test split."
)
@windows(
    "--parity-windows",
    default=10_000,
    show_default=True,
    help="The largest number of windows to compare. At least 1,000.",
)
def parity(
    reference: str,
    models: tuple[str, ...],
    report: str | None,
    json_path: str | None,
    junit: str | None,
    vectors: str | None,
    baseline: str | None,
    min_agreement: float | None,
    max_logit_difference: float | None,
    strict: bool,
    max_error: float | None,
    min_cosine: float | None,
    parity_windows: int,
    **source: Any,
) -> None:
    """Compare each MODEL with the full model REFERENCE, and record the proof.

    REFERENCE is a run directory of 'edge-rnn train' or, with --data, a model that 'edge-rnn convert'
    reads. Each MODEL is a .tflite file of 'edge-rnn convert'. All of them run on the same windows, in
    native with each of its kernels and in every installed TFLite engine.

    Prints one line. The exit code is 1 if a MODEL is refuted, and 2 for bad input.
    """
    from convert.evidence.compare_models import ParityOptions, prove_parity
    from convert.evidence.record_file import write_evidence

    written = {"--report": report, "--json": json_path, "--junit": junit}
    _check_outputs(written, [reference, *models, *filter(None, (source["data"], baseline))])
    read = read_options(source, parity_windows=parity_windows)
    options = ParityOptions(
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        max_error=max_error,
        min_cosine=min_cosine,
        strict=strict,
        baseline=baseline,
        vectors=vectors,
    )
    evidence = prove_parity(reference, models, read=read, options=options)
    if json_path is not None:
        write_evidence(evidence, json_path)
    if junit is not None:
        from convert.evidence.junit import write_junit

        write_junit(evidence, junit)
    if report is not None:
        from convert.evidence.page import write_page

        write_page(evidence, report)
    click.echo(evidence, err=not evidence)
    raise SystemExit(evidence.exit_code)


def _check_outputs(written: dict[str, str | None], inputs: list[str]) -> None:
    """Raises InputError for files that cannot be written, or would replace what is read."""
    taken = {Path(path).resolve() for path in inputs}
    for name, path in written.items():
        if path is None:
            continue
        if Path(path).is_dir():
            raise InputError(f"{path}: is a folder. {name} names the file to write.")
        if Path(path).resolve() in taken:
            raise InputError(f"{path}: is read or written twice. Choose another {name}.")
        taken.add(Path(path).resolve())

"""The command `edge-rnn parity`. Importable with click alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from edge_runtime.commands.option_groups import GroupedCommand, NamedChoice, option
from edge_runtime.errors import InputError

outputs = partial(option, "Files to write")
reference_model = partial(option, "A reference of your own")
limits = partial(option, "Budget")

REFERENCE_KINDS = ("keras", "onnx", "torch", "tf1-basic-lstm")


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
@limits("--strict", is_flag=True, help="Fail also if there are too few windows to prove the budget.")
@reference_model(
    "--data",
    type=click.Path(),
    help="An .npz file with windows x [N, steps, features], their classes y [N] if you know them, and "
    "group [N] if they belong to persons, devices, ... For a run directory: instead of its test split.",
)
@reference_model("--labels", default="", help="The names of the classes, separated by commas.")
@reference_model("--kind", type=NamedChoice(list(REFERENCE_KINDS)), help="The format of REFERENCE.")
@reference_model(
    "--onnx-output", metavar="NAME", help="The output with the logits, if an ONNX model has several."
)
@reference_model(
    "--torch-last",
    type=NamedChoice(["output", "h_n"]),
    help="What a bidirectional PyTorch model reads: output[:, -1] (the default), or h_n.",
)
@reference_model(
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
    data: str | None,
    labels: str,
    kind: str | None,
    onnx_output: str | None,
    torch_last: str | None,
    parity_windows: int,
) -> None:
    """Compare each MODEL with the full model REFERENCE, and record the proof.

    REFERENCE is a run directory of 'edge-rnn train' or, with --data, a model that 'edge-rnn convert'
    reads. Each MODEL is a .tflite file of 'edge-rnn convert'. All of them run on the same windows, in
    native with each of its kernels and in every installed TFLite engine.

    Prints one line. The exit code is 1 if a MODEL is refuted, and 2 for bad input.
    """
    from convert.evidence.compare_models import ParityOptions, prove_parity
    from convert.evidence.record_file import write_evidence
    from convert.readers.read_options import ReadOptions

    written = {"--report": report, "--json": json_path, "--junit": junit}
    _check_outputs(written, [reference, *models, *filter(None, (data, baseline))])
    read = ReadOptions(
        kind=kind,
        data=data,
        labels=tuple(label.strip() for label in labels.split(",")) if labels else (),
        onnx_output=onnx_output,
        torch_last=torch_last,
        parity_windows=parity_windows,
    )
    options = ParityOptions(
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
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

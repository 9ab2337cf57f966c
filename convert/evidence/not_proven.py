"""What a comparison does not show, in sentences: an honest report says it before the figures."""

from __future__ import annotations

from convert.evidence.answers import Compared
from convert.evidence.record import EngineRun, NotProven
from convert.proof.engines import ProofEngines
from edge_runtime.engines.engine import NATIVE, NATIVE_KERNELS
from edge_runtime.model_file.metadata import CLASSIFICATION, STEP
from edge_runtime.model_file.parity_report import NOT_RUN
from edge_runtime.model_file.read_file import ModelFile


def not_proven(
    file: ModelFile,
    compared: Compared,
    engines: ProofEngines,
    runs: tuple[EngineRun, ...],
    drift: str | None,
) -> tuple[NotProven, ...]:
    """Engines, kernels and figures that are missing. `drift`: why there is none, if there is none."""
    listed = [NotProven(engine.name, "this engine is not installed here") for engine in engines.missing]
    listed += [NotProven(run.name, run.reason) for run in runs if run.verdict == NOT_RUN]
    ran = {run.kernels for run in runs if run.engine == NATIVE}
    others = [name for name in NATIVE_KERNELS if name not in ran]
    if ran and others:
        names = ", ".join(others)
        listed.append(NotProven(f"{NATIVE} {names}", "this processor lacks these instructions"))
    listed += _figures(file, compared)
    if drift is not None:
        listed.append(NotProven("drift by time step and gate", drift))
    listed.append(
        NotProven("the device itself", "all engines ran on this computer; run 'edge-rnn verify' there")
    )
    return tuple(listed)


def _figures(file: ModelFile, compared: Compared) -> list[NotProven]:
    listed = []
    if not compared.labelled and compared.task == CLASSIFICATION:
        listed.append(NotProven("accuracy", "the true classes of the windows are not known"))
    if file.metadata.graph == STEP:
        listed.append(
            NotProven(
                "the answers before the last row",
                "only those after the last row are compared here; the file's own proof has every row",
            )
        )
    if compared.task != CLASSIFICATION:
        listed.append(NotProven("groups, margins, calibration", "they are figures of classes"))
    elif compared.groups is None:
        listed.append(NotProven("groups", "the data has no array 'group'"))
    return listed

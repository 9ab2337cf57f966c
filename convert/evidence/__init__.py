"""Evidence: model files compared with their full model, kept as a record and shown in files.

    from convert.evidence import prove_parity

    evidence = prove_parity("runs/mnist", ["mnist-int8.tflite"])
    print(evidence, evidence.exit_code)

`edge-rnn parity` and the pytest plugin are made of it. record.py says what a record holds. A public name
is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.host.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from convert.evidence.compare_models import ParityOptions, prove_parity
    from convert.evidence.record import Evidence
    from convert.evidence.record_file import read_evidence, write_evidence

__all__ = ["Evidence", "ParityOptions", "prove_parity", "read_evidence", "write_evidence"]

__getattr__ = lazy_attributes(
    __name__,
    {
        "Evidence": "convert.evidence.record",
        "ParityOptions": "convert.evidence.compare_models",
        "prove_parity": "convert.evidence.compare_models",
        "read_evidence": "convert.evidence.record_file",
        "write_evidence": "convert.evidence.record_file",
    },
)

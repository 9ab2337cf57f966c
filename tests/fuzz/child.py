"""The process in which the mutations run: python -m tests.fuzz.child TARGET SEED START FOLDER.

`FOLDER/outcomes` has a byte for each mutation (outcome.Outcome), written at once, so that the parent
knows which mutation killed a child. The child goes from START to the end of that file.
"""

from __future__ import annotations

import faulthandler
import mmap
import sys
import warnings
from pathlib import Path

from tests.fuzz.outcome import Outcome, judge, limit_memory
from tests.fuzz.targets import TARGETS, random_of


def main(name: str, seed: int, start: int, folder: Path) -> None:
    faulthandler.enable()
    warnings.simplefilter("error", RuntimeWarning)  # arithmetic on unchecked numbers
    target = TARGETS[name](folder.parent / "seeds")
    limit_memory()
    with (folder / "outcomes").open("r+b") as file, mmap.mmap(file.fileno(), 0) as outcomes:
        for index in range(start, len(outcomes)):
            mutation = target.mutation(random_of(name, seed, index))
            outcomes[index] = Outcome.RUNNING
            path = folder / f"mutated{mutation.suffix}"
            path.unlink(missing_ok=True)  # some file systems flush a file that is written over
            path.write_bytes(mutation.data)
            outcome, problem = judge(target, path, mutation)
            if problem:
                keep(folder, index, path, f"{mutation.kind} of {mutation.seed}\n{problem}")
            outcomes[index] = outcome


def keep(folder: Path, index: int, path: Path, problem: str) -> None:
    """Write the failing file and a description into FOLDER/findings."""
    kept = folder / "findings" / f"{index}{path.suffix}"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(path.read_bytes())
    kept.with_suffix(".txt").write_text(problem)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))

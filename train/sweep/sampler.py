"""Which configuration a trial tries: Optuna's samplers, seeded anew for each trial.

Every trial has a slot, 0 to trials - 1, and is sampled with a generator of its own, seeded by the
sweep's seed and the slot. So the same command gives the same trials when it is interrupted and
continued, and processes that work at once never try the same random numbers.
"""

from __future__ import annotations

from typing import Any, Callable

SLOT = "slot"
"""The user attribute of a trial that holds its slot."""

RANDOM_FIRST = 10
"""Trials that TPE draws at random before it has a model of the space (Optuna's own default)."""


def trial_sampler(name: str, seed: int, claim: Callable[[Any, Any], int]) -> Any:
    """An Optuna sampler. `name`: one of SAMPLERS (train.sweep.spec).

    `claim`: takes a slot for a study's trial that has just begun, and returns it.
    """
    import numpy as np
    from optuna.samplers import BaseSampler

    class TrialSampler(BaseSampler):  # type: ignore[misc, unused-ignore]
        """Asks a sampler that was made for the trial at hand."""

        def before_trial(self, study: Any, trial: Any) -> None:
            entropy = np.random.SeedSequence([seed, claim(study, trial)])
            self._sampler = _sampler(name, int(entropy.generate_state(1)[0]))
            self._sampler.before_trial(study, trial)

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._sampler.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self._sampler.sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self._sampler.sample_independent(study, trial, name, distribution)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            self._sampler.after_trial(study, trial, state, values)

    return TrialSampler()


def _sampler(name: str, seed: int) -> Any:
    from optuna import samplers

    if name == "random":
        return samplers.RandomSampler(seed=seed)
    if name == "nsga2":  # Deb et al. 2002
        return samplers.NSGAIISampler(population_size=20, seed=seed)
    # Ozaki et al. 2022. Trials that other processes are running count as bad ones, so that two processes
    # do not try the same.
    return samplers.TPESampler(
        n_startup_trials=RANDOM_FIRST, multivariate=True, constant_liar=True, seed=seed
    )

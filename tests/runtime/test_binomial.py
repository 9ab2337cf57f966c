"""The exact binomial test against its definition, in exact fractions and with SciPy's beta quantiles."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from edge_runtime.model_file.binomial import (
    at_least,
    at_most,
    judge,
    lower_limit,
    upper_limit,
    windows_to_prove,
)

COUNTS = [(0, 1), (1, 1), (0, 27), (13, 27), (26, 27), (27, 27), (591, 598), (9962, 10_000)]


@pytest.mark.parametrize(("count", "trials"), COUNTS[:-1])
@pytest.mark.parametrize("p", [Fraction(1, 1000), Fraction(1, 2), Fraction(995, 1000)])
def test_tails_are_the_sums_of_the_terms(count, trials, p):
    terms = [comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
    assert at_most(count, trials, float(p)) == pytest.approx(float(sum(terms[: count + 1])), abs=1e-12)
    assert at_least(count, trials, float(p)) == pytest.approx(float(sum(terms[count:])), abs=1e-12)


@pytest.mark.parametrize(("count", "trials"), COUNTS)
def test_limits_are_the_quantiles_of_the_beta_distribution(count, trials):
    beta = pytest.importorskip("scipy.stats").beta
    low = beta.ppf(0.05, count, trials - count + 1) if count else 0.0
    high = beta.ppf(0.95, count + 1, trials - count) if count < trials else 1.0
    assert lower_limit(count, trials) == pytest.approx(low, abs=1e-12)
    assert upper_limit(count, trials) == pytest.approx(high, abs=1e-12)
    for least in (0.5, 0.9, 0.995, 0.9997):
        verdict = "proven" if low >= least else "refuted" if high < least else "not refuted"
        assert judge(count, trials, least) == verdict


def test_the_ends_of_the_scale():
    assert (at_most(3, 9, 0.0), at_most(3, 9, 1.0), at_most(9, 9, 1.0)) == (1.0, 0.0, 1.0)
    assert (at_least(0, 9, 0.0), at_least(3, 9, 0.0), at_least(3, 9, 1.0)) == (1.0, 0.0, 1.0)
    assert (judge(0, 9, 0.0), judge(9, 9, 1.0), judge(8, 9, 1.0)) == ("proven", "not refuted", "refuted")


@pytest.mark.parametrize(("least", "windows"), [(0.0, 1), (0.9, 29), (0.995, 598), (0.9997, 9985)])
def test_the_fewest_windows_that_prove_a_budget(least, windows):
    assert windows_to_prove(least) == windows
    assert judge(windows, windows, least) == "proven"
    assert least == 0 or judge(windows - 1, windows - 1, least) == "not refuted"
    assert windows_to_prove(1.0) is None

"""What the model file has to keep, on the windows of people whom neither model has seen.

The fixtures come with edge-rnn. pyproject.toml names the files.
"""

from __future__ import annotations

from edge_rnn_pytest import assert_parity


def test_model_gives_the_classes_of_the_reference(edge_rnn_evidence):
    assert_parity(edge_rnn_evidence, min_agreement=0.99, max_logit_difference=2.0)


def test_model_is_as_often_right_as_the_reference(edge_rnn_evidence):
    assert_parity(edge_rnn_evidence, max_accuracy_loss=0.01)


def test_nobody_is_left_behind(edge_rnn_evidence):
    assert_parity(edge_rnn_evidence, min_group_agreement=0.97)


def test_nothing_broke_since_the_last_release(edge_rnn_evidence):
    assert_parity(edge_rnn_evidence, max_broken=2)


def test_model_file_fits_into_the_flash_left_for_it(edge_rnn_model):
    assert edge_rnn_model.stat().st_size <= 40_000

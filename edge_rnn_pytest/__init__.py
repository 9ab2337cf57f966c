"""A pytest plugin with which a team's own tests hold a model file to limits on the team's own data.

    pytest --edge-rnn-model model.tflite --edge-rnn-reference RUN --edge-rnn-data windows.npz

It is part of the distribution, and pytest finds it by itself. It measures only if a test asks for the
fixture `edge_rnn_evidence`, which is what `edge-rnn parity` records:

    from edge_rnn_pytest import assert_parity

    def test_model_keeps_its_budget(edge_rnn_evidence):
        assert_parity(edge_rnn_evidence, min_agreement=0.995)

This is a package of its own because pytest loads plugins in every run: `edge_rnn_pytest` cannot be
mistaken for a module of the project under test, as `convert` can.
"""

from edge_rnn_pytest.limits import assert_parity

__all__ = ["assert_parity"]

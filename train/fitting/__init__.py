"""The training itself: the model, the compiled step, the loop, checkpoints."""

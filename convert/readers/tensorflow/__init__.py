"""Full models in TensorFlow, and their logits: the only place of convert that loads it."""

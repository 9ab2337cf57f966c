"""What is converted: a network as numpy weights, with windows and the full model's logits."""

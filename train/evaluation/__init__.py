"""How good a model is: metrics, pictures, cross-validation."""

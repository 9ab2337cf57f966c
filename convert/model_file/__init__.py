"""The write side of a model file: FlatBuffer bytes and the archive behind them."""

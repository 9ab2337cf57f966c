"""`edge-rnn doctor`: what is wrong on this machine, or would be on another, and what mends it."""

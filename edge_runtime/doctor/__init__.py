"""`edge-rnn doctor`: finds what is wrong on this machine or on another system, and how to fix it."""

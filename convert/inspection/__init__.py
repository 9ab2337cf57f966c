"""`edge-rnn inspect`: what a .tflite file holds."""

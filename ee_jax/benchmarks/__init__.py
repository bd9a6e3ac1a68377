"""What `ee-jax bench` times: the exit loop, decoding, a training step, and their peers."""

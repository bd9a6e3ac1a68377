"""Settings of every test."""

import hypothesis
import jax

# An array broadcast by accident is an error, not a wrong number.
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example of a property compiles its program.
hypothesis.settings.register_profile("ee_jax", deadline=None)
hypothesis.settings.load_profile("ee_jax")

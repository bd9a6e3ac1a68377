"""Programs that an earlier command compiled, from the user's cache folder.

JAX keeps them, those that took over a second; commands tell it where. What cannot be read there
is compiled anew, and the folder may be deleted at any time.
"""

import os
import sys

FOLDER = "~/.cache/ee_jax/compiled"
SAVED = "/jax/compilation_cache/compile_time_saved_sec"


def use_compile_cache() -> None:
    """Keeps compiled programs, where JAX has not been imported yet.

    JAX_COMPILATION_CACHE_DIR names another folder, JAX_ENABLE_COMPILATION_CACHE=false turns the
    cache off.
    """
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser(FOLDER))


class SavedSeconds:
    """How long it would have taken to compile what was read from the cache since this began.

    The time that reading took is taken off, so it may be below 0.
    """

    def __init__(self) -> None:
        import jax

        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == SAVED:
            self.seconds += duration_secs

"""Programs that an earlier command compiled, from the user's cache folder.

JAX keeps them, those that took over a second; commands tell it where. What cannot be read there
is compiled anew, and the folder may be deleted at any time.
"""

import os
import sys
from functools import cache

FOLDER = "~/.cache/ee_jax/compiled"
SAVED = "/jax/compilation_cache/compile_time_saved_sec"


def use_compile_cache() -> None:
    """Keeps compiled programs, where JAX has not been imported yet.

    JAX_COMPILATION_CACHE_DIR names another folder, JAX_ENABLE_COMPILATION_CACHE=false turns the
    cache off.
    """
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser(FOLDER))


def saved_seconds() -> float:
    """How long compiling what was read from the cache would have taken, since the first call.

    The time that reading took is taken off, so it may be below 0.
    """
    return sum(_heard())


@cache
def _heard() -> list[float]:
    import jax

    heard: list[float] = []

    def note(event: str, duration_secs: float, **_: str | int) -> None:
        if event == SAVED:
            heard.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(note)
    return heard

"""The tasks by name; a user's own is registered like the package's."""

from pkgutil import resolve_name

from ee_jax.errors import UserError
from ee_jax.registry import Registry
from ee_jax.tasks.task import Task

# What the config field `task` may name: a subclass of Task, or where one lies, so that a run
# loads no other task than its own.
TASKS: Registry[type[Task] | str] = Registry(
    "task",
    classification="ee_jax.tasks.classification.task:Classification",
    language_modeling="ee_jax.tasks.language_modeling.task:LanguageModeling",
)


def find_task(name: str) -> type[Task]:
    """The task of that name.

    Args:
      name: what the config field `task` says.

    Raises:
      UserError: there is none, or it is no Task; says the nearest name, or what is missing.
    """
    if name not in TASKS:
        raise UserError(f"config field `task` names {TASKS.unknown(name)}")
    found = TASKS[name]
    task = resolve_name(found) if isinstance(found, str) else found
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise UserError(f"task `{name}` must be a subclass of ee_jax.tasks.task.Task")
    if missing := sorted(task.__abstractmethods__):
        raise UserError(f"task `{name}` lacks {', '.join(missing)}: define them in its class")
    return task

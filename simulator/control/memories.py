"""What the chargers remember, which travels to the link so that the next process has it."""

from collections.abc import Callable, Iterable, Iterator

from simulator.charge_point.memory import State
from simulator.control.cadence import Cadence
from simulator.control.frames import Frame
from simulator.control.hosted import Hosted

#: The member of a memory that the link stores encrypted.
SECRETS = "secrets"

#: No charger sends its memory more often.
EVERY_S = 3.0

#: From a change until it is sent: what follows at once goes with it.
SOON_S = 0.2


class Memories:
    def __init__(self, on_due: Callable[[], object], *, waits: bool) -> None:
        """`on_due` is called when there is something for `take`.

        `waits`: each memory waits until it is due, so that those of many chargers do not go with every word of one of them.
        """
        self._waits = waits
        self._on_due = on_due
        self._changed: dict[str, Hosted] = {}
        self._due: dict[str, Hosted] = {}
        self._cadence = Cadence(self._fall_due, soon_s=SOON_S, every_s=EVERY_S)

    def note(self, hosted: Hosted) -> None:
        """This charger has something else to remember. Without a session it waits for the next one."""
        self._changed[hosted.id] = hosted
        self._cadence.prompt()

    def hasten(self, hosted: Hosted) -> None:
        """The next `take` has this charger: nothing more will change."""
        self._changed.pop(hosted.id, None)
        self._due[hosted.id] = hosted

    def drop(self, charger_id: str) -> None:
        """Safe to repeat."""
        self._changed.pop(charger_id, None)
        self._due.pop(charger_id, None)

    def take(self) -> Iterator[Frame]:
        """The memories that are due; all that have changed, if they do not wait."""
        if not self._waits:
            self._make_due()
        due, self._due = self._due, {}
        for hosted in due.values():
            state = hosted.attempt(hosted.snapshot)
            if state is not None:
                yield {"charger": hosted.id, "memory": without_secrets(state, hosted.secret_names)}

    def _fall_due(self) -> None:
        self._make_due()
        self._on_due()

    def _make_due(self) -> None:
        self._due |= self._changed
        self._changed = {}


def without_secrets(state: State, names: Iterable[str]) -> State:
    """The state with the options of these names in a member of their own."""
    options = state["options"]
    secret = {name: options[name] for name in names if name in options}
    if not secret:
        return state
    rest = {name: value for name, value in options.items() if name not in secret}
    return state | {"options": rest, SECRETS: secret}


def with_secrets(state: State | None) -> State | None:
    """The reverse. Of a state that is no charger's, nothing changes."""
    if (
        state is None
        or not isinstance(state.get(SECRETS), dict)
        or not isinstance(state.get("options"), dict)
    ):
        return state
    rest = {name: value for name, value in state.items() if name != SECRETS}
    return rest | {"options": state["options"] | state[SECRETS]}

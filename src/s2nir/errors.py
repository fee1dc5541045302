"""Everything s2nir raises or warns with: one parent, one child per stage."""

import copyreg
from typing import Any


class S2NirError(Exception):
    """Parent of every error that s2nir raises on purpose.

    rule : a heading of docs/supported-nodes.md (of an ExportError, docs/boards.md), where the error is a limit that
        this page states; "" otherwise
    lack : where there is too little, what would be used and what is allowed, for an error of that kind
    """

    def __init__(self, message: str, rule: str = "", lack: tuple[str, float, float] | None = None) -> None:
        super().__init__(f"{message} [rule: {rule}]" if rule else message)
        self.rule = rule
        self.lack = lack

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """Back from another process as it is: a child's arguments are not those of `Exception`."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class LoadError(S2NirError):
    """A file or module that cannot be read as a network."""


class UnsupportedError(LoadError):
    """A legal network with a part that s2nir does not take; `rule` names it on the supported-nodes page."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message, rule)


class ContractError(S2NirError):
    """The time step, integrator or reset is unknown or contradicts itself."""


class GraphError(S2NirError):
    """A Graph that breaks its own rules."""


class InputError(S2NirError):
    """Spikes or values that do not fit the network they are given to."""


class QuantizeError(S2NirError):
    """A Graph that cannot be made integers as asked."""


class MappingError(S2NirError):
    """A Network that does not fit a machine, or that no lags exist for."""


class ImageError(S2NirError):
    """A MachineImage that is damaged, altered or of another schema."""


class RunError(S2NirError):
    """A run that cannot be carried out as asked."""


class NameMissingError(RunError, KeyError):
    """A population or Output asked for by a name that a Recording does not have; also a KeyError, as mappings raise."""


class ExportError(S2NirError):
    """A MachineImage that py-spinnaker2 cannot be told to the bit; `rule` is a heading of docs/boards.md. The stand-in
    for py-spinnaker2 raises it too, where a call is wrong."""


class CheckError(S2NirError):
    """A noun that failed its `check`: a defect of s2nir, or an altered file."""


class S2NirWarning(UserWarning):
    """Parent of every warning that s2nir gives."""


def needs(value: object, kind: type | tuple[type, ...], where: str, remedy: str) -> None:
    """Refuse an argument of another type.

    Raises
    ------
    InputError
        saying what was found, what is needed and how to get it.
    """
    if not isinstance(value, kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise InputError(f"{where}: found {_a(type(value).__name__)}, needed {_a(names)}. {remedy}")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOaeio' else 'a'} {noun}"

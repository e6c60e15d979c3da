"""What tests of hostile pieces share."""


def bent(made, **fields):
    """Put values into a frozen dataclass that its annotations forbid: plugins are not type-checked."""
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made

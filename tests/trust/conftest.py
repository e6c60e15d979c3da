"""What tests of hostile pieces share."""


def bent(made, **fields):
    """Put values into a frozen dataclass that its own checks would refuse or its annotations forbid."""
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made

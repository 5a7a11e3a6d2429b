"""gikai (議会): classify passages of Japanese assembly minutes by DX initiative and speaker role."""

__version__ = "0.1.0"


class InputError(ValueError):
    """The user's input or configuration is wrong; the message is one plain sentence that names the culprit."""

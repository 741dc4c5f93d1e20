"""What can be wrong with a model file."""

from sktraffic._documentation import Explained


class ModelFileError(Explained, ValueError, page="user_guide/persistence"):
    """A model file that cannot be used: damaged, cut, or not a model file at all.

    Examples
    --------
    >>> from sktraffic.persistence import ModelFileError
    >>> issubclass(ModelFileError, ValueError)
    True
    """


class UntrustedTypeError(ModelFileError):
    """A model, or a model file, with types outside the list of those that are safe to build.

    Examples
    --------
    >>> from sktraffic.persistence import UntrustedTypeError
    >>> UntrustedTypeError("posix.system").names
    ('posix.system',)
    """

    def __init__(
        self,
        *names,
        source="The model",
        remedy="The file was not made by sktraffic, or was tampered with.",
    ):
        self.names = tuple(sorted(set(names)))
        super().__init__(
            f"{source} holds types that are not trusted: {', '.join(self.names)}. {remedy}"
        )


class ModelMismatchError(ModelFileError):
    """A sound model file that does not fit: other versions, or other extraction settings.

    Examples
    --------
    >>> from sktraffic.persistence import ModelFileError, ModelMismatchError
    >>> issubclass(ModelMismatchError, ModelFileError)
    True
    """


class ModelMismatchWarning(UserWarning):
    """A model file that may not fit, loaded all the same.

    Examples
    --------
    >>> from sktraffic.persistence import ModelMismatchWarning
    >>> issubclass(ModelMismatchWarning, UserWarning)
    True
    """

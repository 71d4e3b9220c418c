"""What identity refuses, in words that may be told to the caller."""


class IdentityError(Exception):
    """The request is refused; `str()` says why and what would do."""


class NotFound(IdentityError):
    """There is no such object, or it is somebody else's: a caller cannot tell which."""


class Conflict(IdentityError):
    """The object is not in the state for it."""


class Forbidden(IdentityError):
    """The caller may not give what it asks for."""


class Invalid(IdentityError):
    """A value will not do."""


class Busy(IdentityError):
    """Too much of the same is under way."""


class WrongCredentials(IdentityError):
    """The user name or the password is wrong, or the account is closed: never said which."""


class TooManyAttempts(IdentityError):
    """Too many log-ins with this account or from this address."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many attempts to log in; try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s

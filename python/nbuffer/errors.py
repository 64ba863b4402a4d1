"""What objects raise, by the names of the vendor's runtime. All are `RuntimeError`s.

Some names are those of built-in exceptions, so import the module rather than its names.
"""


class Error(RuntimeError):
    """A call failed, or an object was used in a state that forbids it; the base of all others."""


class ConnectionError(Error):
    """There is no connection to the device, or none any more."""


class DeviceInUse(Error):
    """The cores are reserved; the message says by whom."""


class IncompatibleDevice(Error):
    """The model needs what the device does not have."""


class InvalidArgument(Error, ValueError):
    """A parameter is wrong, there are not so many cores, or an array does not fit."""


class InvalidConfiguration(Error):
    """A device cannot be configured to this."""


class NotImplemented(Error):
    """This is not there on this device."""


class Pending(Error):
    """Something is still in progress. Nothing here is, so that this is never raised."""


class InternalError(Error):
    """A defect of nbuffer or of the device's code."""


class UnknownError(Error):
    """What has no class of its own. Everything here has, so that this is never raised."""

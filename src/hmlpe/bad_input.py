"""The exceptions that a user can fix: our own, and those of the configuration.

They have a module of their own because many other modules work without Hydra.
"""

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from hmlpe.errors import UserError

BAD_INPUT = (UserError, HydraException, OmegaConfBaseException)

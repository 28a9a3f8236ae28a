"""The exceptions for mistakes that a user can fix: UserError, and those of Hydra and OmegaConf.

They are not in `errors`, because this module imports Hydra, which the many modules that import `errors` do without.
"""

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from hmlpe.errors import UserError

BAD_INPUT = (UserError, HydraException, OmegaConfBaseException)

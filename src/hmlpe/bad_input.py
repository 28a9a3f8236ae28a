"""All that is the user's to mend: our own errors, and those of a configuration. (Apart, as many do without Hydra.)"""

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from hmlpe.errors import UserError

BAD_INPUT = (UserError, HydraException, OmegaConfBaseException)

"""The report of a study as one HTML file that needs no network: `report.html`."""

from hmlpe.report.page.build import LiveSettings, build_page, build_waiting_page
from hmlpe.report.page.charts import vega_script

__all__ = ["LiveSettings", "build_page", "build_waiting_page", "vega_script"]

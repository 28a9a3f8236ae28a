"""The report of a study as one HTML file that needs no network: `report.html`."""

from hmlpe.report.page.build import Live, build_page, build_waiting
from hmlpe.report.page.charts import vega

__all__ = ["Live", "build_page", "build_waiting", "vega"]

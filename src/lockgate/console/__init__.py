"""The web console and the report: what people see."""

from lockgate.console.report import ReportData, render_report

__all__ = ["ReportData", "render_report"]

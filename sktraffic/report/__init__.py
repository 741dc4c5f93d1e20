"""How good a classifier of captures is: scores by capture, and a page to pass on."""

from sktraffic.report._evaluation import (
    CaptureEvaluation,
    classify_captures,
    evaluate_captures,
)
from sktraffic.report._figures import confusion_figure
from sktraffic.report._html import HTMLReport
from sktraffic.report._page import compare_classes, compare_overall, evaluation_report

__all__ = [
    "CaptureEvaluation",
    "HTMLReport",
    "classify_captures",
    "compare_classes",
    "compare_overall",
    "confusion_figure",
    "evaluate_captures",
    "evaluation_report",
]

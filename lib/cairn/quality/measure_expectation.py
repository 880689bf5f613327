"""The one expectation that great-expectations does not have: a number of Cairn's, judged between bounds.

Relations between tables, completeness by year and drift have no expectation of great-expectations that takes a number
which was counted elsewhere. This one does; it says in words what the number is.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.render import (
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
)
from great_expectations.render.renderer.renderer import renderer
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

MEASURE = "cairn.measure"


class ExpectMeasureToBeBetween(BatchExpectation):
    """A number that Cairn counted lies between bounds.

    Parameters
    ----------
    column : str, optional
        Under which column the pages show it.
    statement : str
        What the number is and what must hold of it.
    detail : str, optional
        What else is to be known of it: names of columns, a year.
    min_value, max_value : float, optional
        Bounds, themselves allowed.
    """

    column: str | None = None
    statement: str
    detail: str | None = None
    min_value: float | None = None
    max_value: float | None = None

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column", "statement")
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "statement", "detail", "min_value", "max_value")

    def get_validation_dependencies(
        self, execution_engine: ExecutionEngine | None = None, runtime_configuration: dict[str, Any] | None = None
    ) -> ValidationDependencies:
        """Return the one number that it needs."""
        found = super().get_validation_dependencies(execution_engine, runtime_configuration)
        domain = {"column": self.column, "statement": self.statement}
        found.set_metric_configuration(MEASURE, MetricConfiguration(MEASURE, domain))
        return found

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine | None = None,
    ) -> dict[str, Any]:
        return self._validate_metric_value_between(MEASURE, metrics, runtime_configuration, execution_engine)

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls,
        configuration: ExpectationConfiguration | None = None,
        result: ExpectationValidationResult | None = None,
        runtime_configuration: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> list[RenderedStringTemplateContent]:
        assert configuration is not None
        styling = (runtime_configuration or {}).get("styling")
        words = configuration.kwargs["statement"].replace("$", "$$")  # great-expectations fills blanks that begin so
        template = {"template": words, "params": {}, "styling": styling}
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=template)]

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls,
        configuration: ExpectationConfiguration | None = None,
        result: ExpectationValidationResult | None = None,
        runtime_configuration: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> str:
        if result is None or result.result.get("observed_value") is None:
            return "--"
        value = result.result["observed_value"]
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.2%}"
        config = configuration or result.expectation_config
        detail = config.kwargs.get("detail") if config is not None else None
        return f"{shown} ({detail})" if detail else shown

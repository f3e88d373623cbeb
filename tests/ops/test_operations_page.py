"""docs/operations.md names every setting and every metric, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from mailgate.edge.shedding import Reason
from mailgate.records import metrics
from mailgate.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_the_table_of_settings_is_complete_and_says_what_the_code_says() -> None:
    rows = dict(re.findall(r"^\| `MAILGATE_(\w+)` \|[^|]*\| (.*) \|$", PAGE, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_the_table_of_metrics_is_complete() -> None:
    rows = re.findall(r"^\| `(mailgate_\w+)` \|([^|]*)\|", PAGE, re.MULTILINE)
    documented = {
        name.removesuffix("_total"): {label for label in labels.strip().split(", ") if label} for name, labels in rows
    }
    ours = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    assert documented == {each._name: set(each._labelnames) for each in ours}


def test_every_reason_to_refuse_for_others_is_explained() -> None:
    table = PAGE.partition("## Shares")[2].partition("\n## ")[0]
    assert [reason for reason in Reason if f"`{reason}`" not in table] == []

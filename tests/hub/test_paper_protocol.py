"""The table of runs that follow a published protocol."""

import json

from equizoo.hub.card_published import read_published
from equizoo.hub.paper_protocol import protocol_table
from tests.hub.card_samples import PUBLISHED, row


def report(method, **maes):
    variants = {name: {"errors": {"gap": mae}} for name, mae in maes.items()}
    name = {"name": f"schnet-qm9-{method}", "dataset": "qm9", "method": method}
    return {**name, "seed": 42, "epochs": 6, "units": {"gap": "eV"}, "variants": variants}


def test_each_run_stands_beside_the_published_figure_of_its_method(tmp_path):
    published = read_published(PUBLISHED)
    ace = report("ace-equality", equivariant=0.21, partial=0.19) | {"cost": {"cpu_hours": 2.5}}
    (tmp_path / "a.json").write_text(json.dumps(ace))
    (tmp_path / "b.json").write_text(json.dumps(report("none", equivariant=0.2)))
    text = protocol_table(tmp_path, published)
    strict, ace = row(text, "gap", "eV", "none"), row(text, "gap", "eV", "ace-equality")
    assert strict == ["42", "6", "–", "0.200", "–", "0.0758 ± 0.0008", "–", "1,000", "–"]
    assert ace[:-1] == ["42", "6", "2.50 h", "0.210", "0.190", "0.0686 ± 0.0011", "–", "1,000"]
    assert text.index("| none |") < text.index("| ace-equality |")


def test_no_runs_no_table(tmp_path):
    assert protocol_table(tmp_path, read_published(PUBLISHED)) == ""

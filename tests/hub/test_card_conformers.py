"""What the card of a conformer flow says, against the files that it is made from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("rdkit")
from equizoo.hub.card_published import read_published
from equizoo.hub.card_text import render_card
from equizoo.hub.config import read_config
from equizoo.hub.readme import fill_readme
from equizoo.training.config import RECIPES
from equizoo.training.loop import train
from equizoo.training.publish import publish
from equizoo.training.runfolder import RunFolder, write_json
from tests.hub.card_samples import PUBLISHED, row
from tests.hub.test_readme import EMPTY
from tests.training.test_conformers import tiny

ROW = {
    **{key: {"mean": 0.25, "median": 0.125} for key in ("cov_r", "amr_r", "cov_p", "amr_p")},
    "seconds": 0.0123,
    "stereo": 1.0,
}
FIGURE = {"mean": 2.125, "median": 1.0}
ENERGY = {"conformers": 6, "converged": 0.5} | dict.fromkeys(("strain", "before", "after", "moved"), FIGURE)
SOUND = {"conformers": 6, "passed": 1.0, "passed_hydrogens": 1.0, "failed": {"bond lengths": 0.0}}
BROKEN = {**SOUND, "passed": 0.5, "passed_hydrogens": 0.25, "failed": {"bond lengths": 0.5}}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A checkpoint as ``publish`` writes it, but for saying that its molecules were made up."""
    run = tmp_path_factory.mktemp("run")
    train(tiny(budget__epochs=1, data__prior="mmff"), run, progress=False)
    about = {"title": "Test molecules", "molecules": 3, "references": 6, "threshold": 0.5}
    rows = {"ETKDG": ROW, "`equivariant`": {**ROW, "amr_p": {"mean": 0.111, "median": 0.099}}}
    RunFolder(run).write_measured(
        "ensembles.json", {"sets": [{**about, "rows": rows}], "steps": {"1 step": ROW}}
    )
    folder = publish(run, run / "flow-tiny", name="flow-tiny", recipe="conformer-qm9-ace")
    results = json.loads((folder / "results.json").read_text())
    del results["data"]["synthetic"]
    write_json(folder / "results.json", results)
    return folder


def text_of(folder) -> str:
    results = json.loads((folder / "results.json").read_text())
    return render_card(read_config(folder), results, read_published(PUBLISHED))


def test_ensembles_stand_beside_those_of_rdkit(shipped):
    text = text_of(shipped)
    assert "3 molecules, 6 reference conformers" in text
    assert row(text, "ETKDG") == [
        "25.0 (12.5)",
        "0.250 (0.125)",
        "25.0 (12.5)",
        "0.250 (0.125)",
        "0.012",
        "100.0",
    ]
    assert "| `equivariant` | 25.0 (12.5) | 0.250 (0.125) | 25.0 (12.5) | 0.111 (0.099) |" in text
    assert row(text, "1 step")[1] == "0.250 (0.125)"


def test_the_card_says_what_the_flow_starts_from_and_that_it_is_not_geom(shipped):
    text = text_of(shipped)
    assert "an ETKDGv3 embedding by RDKit that MMFF94 has relaxed" in text
    assert "It is not GEOM" in text


def test_the_card_does_not_deny_what_its_tables_measure(shipped):
    text = text_of(shipped)
    assert "were not measured outside" not in text
    assert "its errors on such molecules are larger, and were measured on those of the tables above" in text


def test_the_code_on_the_card_runs(shipped):
    text = text_of(shipped)
    code = text.split("```python\n")[2].split("```")[0].replace('"flow-tiny"', repr(str(shipped)))
    names: dict = {}
    exec(code, names)  # noqa: S102  (the card's own example)
    assert names["velocity"].shape == (3, 3)


def test_variants_that_are_not_shipped_have_no_row(shipped):
    config, results = read_config(shipped), json.loads((shipped / "results.json").read_text())
    (part,) = results["ensembles"]["sets"]
    part["rows"]["`partial`"] = ROW
    rows = {"`equivariant`": SOUND, "`partial`": {**SOUND, "failed": {"bond lengths": 0.5}}}
    results["ensembles"]["validity"] = [{"title": "Tests", "molecules": 3, "rows": rows}]
    ensembles = "## Ensembles"
    both = render_card(config, results, read_published(PUBLISHED)).split(ensembles)[1].split("## Symmetry")[0]
    assert both.count("| `partial` |") == 2 and "- `partial`: bond lengths" in both
    del config.variants["partial"]
    one = render_card(config, results, read_published(PUBLISHED)).split(ensembles)[1].split("## Symmetry")[0]
    assert "`partial`" not in one and one.count("| `equivariant` |") == 2


def test_flows_stand_beside_rdkit_in_the_readme(shipped):
    config, results = read_config(shipped), json.loads((shipped / "results.json").read_text())
    (part,) = results["ensembles"]["sets"]
    part["rows"] |= {"ETKDG + MMFF94": {**ROW, "seconds": 0.0246}, "`partial`": ROW}
    relaxed = {"`equivariant`": {**SOUND, "energy": ENERGY}}
    results["ensembles"]["validity"] = [{"title": "Test molecules", "molecules": 2, "rows": relaxed}]
    other = replace(config, name="flow-other"), {**results, "method": "recm"}
    text = fill_readme(EMPTY, [other, (config, results)], {})
    about = (
        "Test molecules (3), from new embeddings; COV at 0.5 Å; strain that GFN2-xTB takes off, of 2; time"
    )
    assert text.count(about) == 1
    figures = ["25.0 (12.5)", "0.250 (0.125)", "25.0 (12.5)"]
    assert row(text, "ETKDG, no model") == [*figures, "0.250 (0.125)", "–", "0.5"]
    flow = [*figures, "0.111 (0.099)", "2.1", "0.5"]
    lines = [line for line in text.split(about)[1].splitlines() if line.startswith("| [flow")]
    names = [f"[{name}](model_cards/{name}.md)" for name in ("flow-tiny", "flow-other")]
    assert lines == [f"| {' | '.join([name, *flow])} |" for name in names]
    del results["ensembles"]["validity"], part["rows"]["ETKDG + MMFF94"]
    text = fill_readme(EMPTY, [(config, results)], {})
    assert "strain" not in text and "| time |" not in text
    del results["ensembles"]
    assert "from new embeddings" not in fill_readme(EMPTY, [(config, results)], {})


def test_both_measurements_of_the_test_set_are_explained(shipped):
    results = json.loads((shipped / "results.json").read_text())
    text = text_of(shipped)
    assert (
        f"those are of {results['n']:,} molecules and the starts that lie prepared in the test file" in text
    )
    assert "for all ways alike; 3 molecules could be embedded." in text
    rows = results["ensembles"]["sets"][0]["rows"] | {"ETKDG + MMFF94": ROW}
    results["ensembles"]["sets"][0]["rows"] = rows
    text = render_card(read_config(shipped), results, read_published(PUBLISHED))
    beside = "0.111 instead of 0.250 Å and 0.250 instead of 0.250 Å on test molecules."
    assert f"alone (the same two, on new starts): {beside}" in text


def test_the_files_of_the_training_are_made_first(shipped):
    config, results = read_config(shipped), json.loads((shipped / "results.json").read_text())
    named = replace(config, domain=replace(config.domain, name="qm9-mmff-xtb"))
    text = render_card(named, results, read_published(PUBLISHED))
    options = "--start mmff --ends xtb --geometries 10000"
    command = f"python -m equizoo.data.prepare_conformers {options} --out $EQUIZOO_DATA"
    assert f"```bash\n{command}\n{config.training.command}\n```" in text
    assert command in (RECIPES / "conformer-qm9-strict.yaml").read_text()
    assert "`qm9xtb_train.npz`" in text
    assert "with the minimum that GFN2-xTB relaxes it to" in text
    other = replace(config, domain=replace(config.domain, name="mine"))
    text = render_card(other, results, read_published(PUBLISHED))
    assert "prepare_conformers" not in text and "with the minimum that" not in text


def test_sentences_begin_with_a_capital(shipped):
    text = text_of(shipped)
    assert "\nA conformer flow, the velocity of atoms" in text
    assert "move to a low-energy conformer; its data are QM9 conformers." in text
    assert "exactly equivariant under rotations and translations (mirror images it tells apart)" in text


def test_without_ensembles_the_card_says_so(shipped):
    results = json.loads((shipped / "results.json").read_text())
    results.pop("ensembles")
    text = render_card(read_config(shipped), results, read_published(PUBLISHED))
    assert "## Ensembles\n\nNot measured." in text


def test_validity_stands_after_the_ensembles(shipped):
    results = json.loads((shipped / "results.json").read_text())
    assert "## Validity" not in text_of(shipped)
    results["ensembles"]["validity"] = [
        {"title": "Tests", "molecules": 3, "rows": {"made": {**SOUND, "energy": ENERGY}, "drawn": BROKEN}},
        {"title": "Drugs", "molecules": 1, "rows": {"refined": SOUND}},
    ]
    text = render_card(read_config(shipped), results, read_published(PUBLISHED))
    first, second = text.split("## Validity")[1].split("Drugs: 1 molecules")
    figures = ["2.12 (1.00)", "2.12 (1.00)", "2.12 (1.00)", "2.125 (1.000)", "50.0"]
    assert row(first, "made") == ["6", "100.0", "100.0", *figures]
    assert row(first, "drawn") == ["6", "50.0", "25.0", "–", "–", "–", "–", "–"]
    assert "- drawn: bond lengths 50.0 %" in first
    assert "GFN2-xTB energy" in first.split("|")[0]
    assert row(second, "refined") == ["6", "100.0", "100.0"]
    assert "No conformer fails a check." in second


@pytest.mark.parametrize(("theirs", "said"), [(1.0, True), (3.0, False)])
def test_strain_above_that_of_the_force_field_is_a_limitation(shipped, theirs, said):
    results = json.loads((shipped / "results.json").read_text())
    strains = {"`equivariant`": 2.125, "ETKDG + MMFF94": theirs}
    energies = {way: {**ENERGY, "strain": {"mean": mean, "median": 1.0}} for way, mean in strains.items()}
    rows = {way: {**SOUND, "energy": energy} for way, energy in energies.items()}
    results["ensembles"]["validity"] = [{"title": "Tests", "molecules": 3, "rows": rows}]
    text = render_card(read_config(shipped), results, read_published(PUBLISHED))
    assert ("2.1 kcal/mol of GFN2-xTB strain" in text.split("## Limitations")[1]) == said

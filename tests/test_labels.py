"""Label sets and taxonomies: order, gold checks, the files that ship."""

from pathlib import Path

import numpy as np
import pytest

from gikai import InputError
from gikai.labels import LabelSet, Taxonomy, check_id2label, load_taxonomy


@pytest.fixture(scope="module")
def taxonomy(root: Path) -> Taxonomy:
    return load_taxonomy(root / "data/taxonomy")


def test_shipped_taxonomy(taxonomy: Taxonomy) -> None:
    initiative, role = taxonomy.sets
    assert (initiative.name, initiative.kind, len(initiative.labels)) == ("initiative", "multi", 16)
    assert (role.name, role.kind, len(role.labels)) == ("role", "single", 6)
    assert sorted(set(role.groups.values())) == ["chair", "executive", "legislative", "other"]
    assert all(label.ja and label.en and label.source for label_set in taxonomy.sets for label in label_set.labels)
    assert taxonomy.names[0] == "initiative/online_procedures"
    assert taxonomy.names[16] == "role/chair"


def test_encode_decode_agree(taxonomy: Taxonomy) -> None:
    for label_set, gold in zip(taxonomy.sets, (["ai_rpa", "education_dx"], "member"), strict=True):
        onehot = label_set.encode(gold)[None] > 0.5
        assert label_set.decode(onehot) == [gold]
    assert np.isnan(taxonomy.encode({"role": "chair"})[:16]).all()
    assert taxonomy.encode({"role": "chair"})[16] == 1


def test_activation_matches_definition(taxonomy: Taxonomy) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 22)) * 30
    probabilities = taxonomy.activate(logits)
    assert np.allclose(probabilities[:, :16], 1 / (1 + np.exp(-logits[:, :16])))
    assert np.allclose(probabilities[:, 16:].sum(axis=1), 1)


def test_gold_is_checked(taxonomy: Taxonomy) -> None:
    initiative, role = taxonomy.sets
    with pytest.raises(InputError, match=r"f:3.*unknown label 'dx'.*online_procedures"):
        initiative.check(["dx"], "f:3")
    with pytest.raises(InputError, match="must be a list"):
        initiative.check("ai_rpa", "f:3")
    with pytest.raises(InputError, match="must be one label id"):
        role.check(["chair"], "f:3")
    assert initiative.check(["education_dx", "ai_rpa"], "f:3") == ["ai_rpa", "education_dx"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind: multi\nlabels: [{id: a}]", "field must name"),
        ("field: x\nkind: both\nlabels: [{id: a}]", "kind must be multi or single"),
        ("field: x\nkind: multi\nlabels: []", "at least one label"),
        ("field: x\nkind: multi\nlabels: [{id: a}, {id: a}]", "declared twice"),
        ("field: x\nkind: multi\nlabels: [{id: a/b}]", "no slash"),
        ("field: x\nkind: multi\nlabel: []", "unknown key 'label'"),
        ("field: !!python/object:os.system x", "not readable"),
        ("[1", "not readable"),
    ],
)
def test_wrong_taxonomy_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_taxonomy(tmp_path)


def test_id2label_must_agree(taxonomy: Taxonomy) -> None:
    names = dict(enumerate(taxonomy.names))
    check_id2label(taxonomy, names, "r")
    names[3], names[4] = names[4], names[3]
    with pytest.raises(InputError, match="output 3 is initiative/digital_communication in the model"):
        check_id2label(taxonomy, names, "r")


def test_pool_takes_highest_or_mean() -> None:
    logits = np.array([[1.0, 4.0], [3.0, 0.0], [5.0, 5.0]])
    starts = np.array([0, 2])
    multi, single = (LabelSet("x", "x", kind, ()) for kind in ("multi", "single"))
    assert multi.pool(logits, starts).tolist() == [[3, 4], [5, 5]]
    assert single.pool(logits, starts).tolist() == [[2, 2], [5, 5]]

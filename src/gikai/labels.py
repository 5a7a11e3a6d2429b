"""Label sets and taxonomies: declared, ordered lists of labels; the one place that knows single from multi.

Library module; no command of its own. Files: `data/taxonomy/*.yaml`, one label set each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from gikai import InputError

Kind = Literal["multi", "single"]
RESERVED = {
    "id",
    "text",
    "n",
    "cluster",
    "compared",
    "source",
    "assembly",
    "date",
    "meeting",
    "speaker",
    "title",
    "start",
    "end",
    "passage_index",
    "unpunctuated",
}

Gold = list[str] | str | None
"""Labels of one passage in one label set: ids (multi), one id (single), or None where it was not annotated."""


@dataclass(frozen=True)
class Label:
    """One class. `group` is the coarser class it belongs to, where the label set declares groups."""

    id: str
    ja: str = ""
    en: str = ""
    source: str = ""
    group: str | None = None


@dataclass(frozen=True)
class LabelSet:
    """A declared, ordered list of labels; column i of every array of this set is `labels[i]`.

    `field` is the key under which a labelled passage holds its gold.
    """

    name: str
    field: str
    kind: Kind
    labels: tuple[Label, ...]

    @property
    def ids(self) -> list[str]:
        """Label ids in the order of columns."""
        return [label.id for label in self.labels]

    @property
    def groups(self) -> dict[str, str]:
        """Coarse group by label id; empty where the set declares none."""
        return {label.id: label.group for label in self.labels if label.group}

    def same(self, other: "LabelSet") -> bool:
        """Return whether `other` has the same name, kind and labels in the same order: whether scores can be compared."""
        return (self.name, self.kind, self.ids) == (other.name, other.kind, other.ids)

    def check(self, value: Any, where: str) -> Gold:
        """Return `value` as gold of this set; raise InputError, which begins with `where`, when it cannot be."""
        if value is None:
            return None
        if self.kind == "multi":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise InputError(f'{where}: "{self.field}" must be a list of label ids or null, found {value!r}')
            unknown = [item for item in value if item not in self.ids]
        else:
            if not isinstance(value, str):
                raise InputError(f'{where}: "{self.field}" must be one label id or null, found {value!r}')
            unknown = [] if value in self.ids else [value]
        if unknown:
            raise InputError(f'{where}: "{self.field}" has unknown label {unknown[0]!r}; the {self.name} labels are {", ".join(self.ids)}')
        return [item for item in self.ids if item in value] if self.kind == "multi" else value

    def encode(self, gold: Gold) -> np.ndarray:
        """Return `(labels,)` float32: 1 where the label applies, 0 where not, NaN everywhere where gold is None."""
        if gold is None:
            return np.full(len(self.labels), np.nan, dtype=np.float32)
        chosen = {gold} if isinstance(gold, str) else set(gold)
        return np.array([label.id in chosen for label in self.labels], dtype=np.float32)

    def known(self, gold: Sequence[Gold], probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (row numbers `(k,)`, truth `(k, labels)` booleans, probabilities `(k, labels)`) of the rows that have gold."""
        probabilities = np.asarray(probabilities, dtype=np.float64)
        if probabilities.shape != (len(gold), len(self.labels)):
            raise ValueError(f"probabilities have shape {probabilities.shape}, expected ({len(gold)}, {len(self.labels)})")
        rows = np.array([index for index, value in enumerate(gold) if value is not None], dtype=int)
        truth = np.array([self.encode(gold[index]) for index in rows]).reshape(len(rows), len(self.labels)) > 0.5
        return rows, truth, probabilities[rows]

    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities `(n, labels)` from logits of the same shape; rows sum to 1 only where single."""
        logits = logits.astype(np.float64)
        if self.kind == "multi":
            return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    def pool(self, logits: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return one row a text from the logits of its windows, which begin at rows `starts`.

        Multi: the highest (one window is enough to show a label). Single: the mean.
        """
        if self.kind == "multi":
            return np.asarray(np.maximum.reduceat(logits, starts, axis=0))
        counts = np.diff([*starts, len(logits)])[:, None]
        return np.asarray(np.add.reduceat(logits, starts, axis=0) / counts)

    def temper(self, probabilities: np.ndarray, temperature: float) -> np.ndarray:
        """Return `(n, labels)` probabilities whose logits are divided by `temperature` (Guo et al. 2017)."""
        kept = np.asarray(probabilities, dtype=np.float64).clip(1e-6, 1 - 1e-6)
        logits = np.log(kept) - np.log1p(-kept) if self.kind == "multi" else np.log(kept)
        return self.activate(logits / temperature)

    def decisions(self, truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what calibration looks at, from `(n, labels)` arrays: confidences `(m,)`, and `(m,)` whether each came true.

        Multi: every label of every passage is a decision of its own. Single: the most probable label of each passage.
        """
        if self.kind == "multi":
            return probabilities.ravel(), truth.ravel() > 0.5
        best = probabilities.argmax(axis=1)
        rows = np.arange(len(best))
        return probabilities[rows, best], truth[rows, best] > 0.5

    def confidence(self, probabilities: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return `(n,)`: how probable the model holds it that all it has `chosen` `(n, labels)` for a passage is right.

        Multi: the product over labels, as if they were independent. Single: the probability of the chosen label.
        """
        if self.kind == "multi":
            return np.asarray(np.where(chosen, probabilities, 1 - probabilities).prod(axis=1))
        return np.asarray(probabilities[np.arange(len(chosen)), chosen.argmax(axis=1)])

    def choose(self, probabilities: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return `(n, labels)` booleans: at or above its threshold (multi), the most probable one (single)."""
        if self.kind == "multi":
            return np.asarray(probabilities >= np.asarray(thresholds))
        chosen = np.zeros(probabilities.shape, dtype=bool)
        chosen[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
        return chosen

    def decode(self, chosen: np.ndarray) -> list[Any]:
        """Return labels for `(n, labels)` booleans: a list of ids a row (multi) or one id a row (single)."""
        ids = self.ids
        if self.kind == "single":
            return [ids[column] for column in chosen.argmax(axis=1)]
        rows: list[list[str]] = [[] for _ in chosen]
        for row, column in np.argwhere(chosen):
            rows[row].append(ids[column])
        return rows


@dataclass(frozen=True)
class Taxonomy:
    """The label sets of one model, in order: columns of the model's output are all labels of all sets, in turn."""

    sets: tuple[LabelSet, ...]

    @property
    def columns(self) -> dict[str, slice]:
        """The columns of each label set in an array over all labels."""
        slices, start = {}, 0
        for label_set in self.sets:
            slices[label_set.name] = slice(start, start + len(label_set.labels))
            start += len(label_set.labels)
        return slices

    @property
    def names(self) -> list[str]:
        """Names of all columns, as in a model's `id2label`: `initiative/online_procedures`, `role/chair`, …"""
        return [f"{label_set.name}/{label_id}" for label_set in self.sets for label_id in label_set.ids]

    def encode(self, gold: dict[str, Gold]) -> np.ndarray:
        """Return `(all labels,)` float32 targets; NaN over the columns of each set that was not annotated."""
        return np.concatenate([label_set.encode(gold.get(label_set.name)) for label_set in self.sets])

    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities `(n, all labels)` from logits of the same shape, set by set."""
        parts = [label_set.activate(logits[:, self.columns[label_set.name]]) for label_set in self.sets]
        return np.concatenate(parts, axis=1)

    def select(self, names: Sequence[str] | None) -> "Taxonomy":
        """Return the taxonomy with the named label sets only, in taxonomy order; all of them for None.

        Raises InputError for a name that the taxonomy does not have.
        """
        if names is None:
            return self
        have = [label_set.name for label_set in self.sets]
        unknown = [name for name in names if name not in have]
        if unknown:
            raise InputError(f"task.label_sets: no label set {unknown[0]!r} in the taxonomy; it has {', '.join(have)}")
        return Taxonomy(tuple(label_set for label_set in self.sets if label_set.name in names))


def load_taxonomy(folder: Path) -> Taxonomy:
    """Return the label sets of a folder, one `*.yaml` file each, in the order of file names.

    Raises InputError, naming the file, where one does not declare `field`, `kind` and `labels` as it should.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such taxonomy folder")
    files = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    if not files:
        raise InputError(f"{folder}: no *.yaml file here; a taxonomy has one for each label set")
    sets = tuple(_load_set(path) for path in files)
    for kind, names in (("name", [s.name for s in sets]), ("field", [s.field for s in sets])):
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise InputError(f"{folder}: two label sets have the {kind} {repeated[0]!r}")
    return Taxonomy(sets)


def _load_set(path: Path) -> LabelSet:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as UTF-8 YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping with field, kind and labels")
    unknown = set(map(str, content)) - {"field", "kind", "labels", "public_source"}
    if unknown:
        raise InputError(f"{path}: unknown key {sorted(unknown)[0]!r}; a label set has field, kind, labels")
    kind = content.get("kind")
    if kind not in ("multi", "single"):
        raise InputError(f"{path}: kind must be multi or single, found {kind!r}")
    field = content.get("field")
    if not isinstance(field, str) or not field or field in RESERVED or path.stem in RESERVED:
        raise InputError(
            f"{path}: field must name the key that holds the gold labels, and neither it nor the file be called {', '.join(sorted(RESERVED))}; found {field!r}"
        )
    if not isinstance(content.get("labels"), list) or not content["labels"]:
        raise InputError(f"{path}: labels must be a list with at least one label")
    labels = tuple(_label(item, path) for item in content["labels"])
    ids = [label.id for label in labels]
    repeated = [item for item in ids if ids.count(item) > 1]
    if repeated:
        raise InputError(f"{path}: label {repeated[0]!r} is declared twice")
    return LabelSet(name=path.stem, field=field, kind=kind, labels=labels)


def _label(item: Any, path: Path) -> Label:
    known = {"id", "ja", "en", "source", "group"}
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("id"), str)
        or not set(item) <= known
        or not all(isinstance(v, str) for v in item.values())
    ):
        raise InputError(f"{path}: a label is a mapping with an id and any of ja, en, source, group; found {item!r}")
    if "/" in item["id"] or not item["id"].strip():
        raise InputError(f"{path}: label id {item['id']!r} must be non-empty and hold no slash")
    return Label(**item)


def check_id2label(taxonomy: Taxonomy, id2label: dict[int, str], where: str) -> None:
    """Raise InputError, beginning with `where`, unless `id2label` lists exactly the taxonomy's columns in order."""
    names = [id2label[index] for index in sorted(id2label)]
    if names != taxonomy.names:
        position = next(
            (i for i, (a, b) in enumerate(zip(names, taxonomy.names, strict=False)) if a != b),
            min(len(names), len(taxonomy.names)),
        )
        found, wanted = (items[position] if position < len(items) else "nothing" for items in (names, taxonomy.names))
        raise InputError(
            f"{where}: the model's id2label and taxonomy/ disagree: output {position} is {found} in the model "
            f"and {wanted} in the taxonomy; a run's taxonomy must stay as it was trained"
        )

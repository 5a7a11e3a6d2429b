"use strict";
// Filters of the list of errors. The page is whole without this script; the controls appear only with it.
const form = document.getElementById("filters");
const cards = [...document.querySelectorAll("#errors > article")].map((element) => ({
  element,
  errors: element.dataset.errors.split(" ").map((error) => error.split(".")),
  words: element.textContent.normalize("NFKC").toLowerCase(),
}));

function filter() {
  const { set, label, kind, search } = form.elements;
  for (const option of label.querySelectorAll("option[data-set]")) {
    option.hidden = option.disabled = set.value !== "" && option.dataset.set !== set.value;
    if (option.disabled && option.selected) label.value = "";
  }
  const wanted = search.value.normalize("NFKC").toLowerCase().trim();
  let shown = 0;
  for (const card of cards) {
    const fits = card.errors.some(([k, s, l]) =>
      (kind.value === "" || k === kind.value) && (set.value === "" || s === set.value) && (label.value === "" || l === label.value));
    card.element.hidden = !(fits && card.words.includes(wanted));
    shown += card.element.hidden ? 0 : 1;
  }
  document.getElementById("shown").value = `${shown} of ${cards.length} shown`;
}

if (form) {
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  filter();
}

// Sorts a table by the column whose heading is pressed, numbers from the largest, then the other way.
// A cell's data-value is what it is sorted by, otherwise its text.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];

  const valueIn = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text);
    return text === "" || Number.isNaN(number) ? text : number;
  };

  const compared = (one, other) => {
    if (typeof one === "number" && typeof other === "number") {
      return one - other;
    }
    if (typeof one !== typeof other) {
      return typeof one === "number" ? 1 : -1; // a missing figure is below every figure
    }
    return one.localeCompare(other);
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.firstElementChild.childNodes);
    heading.firstElementChild.replaceWith(button);
    button.addEventListener("click", () => {
      const isNumber = heading.classList.contains("number");
      const first = isNumber ? "descending" : "ascending";
      const second = isNumber ? "ascending" : "descending";
      const order = heading.getAttribute("aria-sort") === first ? second : first;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort(
        (one, other) => sign * compared(valueIn(one, column), valueIn(other, column)),
      );
      body.append(...rows);
    });
  });
}

// Sort a table by the column whose heading is clicked.
(() => {
  "use strict";
  const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const key = (cell) => {
    const text = (cell.dataset.sort ?? cell.textContent).trim().replace(/[\u2009\u202f]/g, "").replace(/−/g, "-");
    const number = /^([+-]?(?:\d+\.?\d*|\.\d+))(?: × 10⁻([⁰¹²³⁴⁵⁶⁷⁸⁹]+))?/.exec(text);
    if (!number) return /^[–-]?$/.test(text) ? NaN : text.toLowerCase();
    const power = [...(number[2] ?? "")].reduce((sum, digit) => 10 * sum + superscripts.indexOf(digit), 0);
    return Number(number[1]) * 10 ** -power;
  };
  const compare = (a, b) => {
    if (typeof a === "string" || typeof b === "string") return String(a).localeCompare(String(b), "en", { numeric: true });
    return a - b;
  };
  const sort = (table, column, descending) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const keyed = rows.map((row, position) => ({ row, position, key: key(row.cells[column]) }));
      keyed.sort((a, b) => {
        const absent = Number(Number.isNaN(a.key)) - Number(Number.isNaN(b.key));
        return absent || (descending ? -1 : 1) * compare(a.key, b.key) || a.position - b.position;
      });
      body.append(...keyed.map((entry) => entry.row));
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    table.classList.add("live");
    headings.forEach((heading, column) => {
      if (heading.classList.contains("scale")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const words = typeof key(table.tBodies[0].rows[table.tBodies[0].rows.length - 1].cells[column]) === "string";
        const before = heading.getAttribute("aria-sort");
        const descending = before ? before === "ascending" : !words;
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(table, column, descending);
      });
    });
  }
})();

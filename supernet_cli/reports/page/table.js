// Sorting and filtering of the table of paths. Without scripts, the table stays as it is.
for (const frame of document.querySelectorAll(".paths")) {
  const body = frame.querySelector("tbody"), rows = [...body.rows];
  const field = frame.querySelector("input"), count = frame.querySelector("output");
  const heads = [...frame.querySelectorAll("thead th")];
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
  }
  const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent;
  const compare = (a, b, column) => {
    const [one, other] = [value(a, column), value(b, column)];
    if (one === "" || other === "") return (one === "") - (other === "");
    return column === 0 ? one.localeCompare(other) : Number(one) - Number(other);
  };
  frame.querySelector(".filter").hidden = false;
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const name = row.cells[0].textContent.toLowerCase();
      row.hidden = !words.every((word) => name.includes(word));
      shown += !row.hidden;
    }
    count.textContent = words.length ? shown + " of " + rows.length : "";
  });
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const falls = head.getAttribute("aria-sort") !== "descending" && column > 0;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const empty = (row) => value(row, column) === "";
      rows.sort((a, b) => (falls && !empty(a) && !empty(b) ? -1 : 1) * compare(a, b, column));
      body.append(...rows);
    });
  });
}

// On paper, nothing is folded.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));

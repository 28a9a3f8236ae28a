// Draws the charts, shows and hides rows, and, when served, asks for news.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const store = `hmlpe-rows-${document.title}`;
  const boxes = [...document.querySelectorAll("#rows input")];
  const shown = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const views = [];
  const tell = () => {
    for (const view of views) view.signal("shown", shown()).runAsync();
    try { sessionStorage.setItem(store, JSON.stringify(boxes.filter((box) => !box.checked).map((box) => box.value))); } catch {}
  };
  try {
    const hidden = JSON.parse(sessionStorage.getItem(store) ?? "[]");
    for (const box of boxes) box.checked = !hidden.includes(box.value);
  } catch {}
  for (const box of boxes) box.addEventListener("change", tell);
  for (const button of document.querySelectorAll("#rows button")) {
    button.addEventListener("click", () => { for (const box of boxes) box.checked = Boolean(button.dataset.all); tell(); });
  }
  const folds = [...document.querySelectorAll("details[data-fold]")];
  const unfolded = `hmlpe-folds-${document.title}`; // a page that reloads itself stays as it was opened
  try {
    const open = JSON.parse(sessionStorage.getItem(unfolded) ?? "{}");
    for (const fold of folds) fold.open = open[fold.dataset.fold] ?? fold.open;
  } catch {}
  for (const fold of folds) fold.addEventListener("toggle", () => {
    try { sessionStorage.setItem(unfolded, JSON.stringify(Object.fromEntries(folds.map((one) => [one.dataset.fold, one.open])))); } catch {}
  });
  const options = {actions: false, renderer: "svg", config: read("config"), logLevel: 1}; // errors: no word on figures of no rows
  const drawing = Object.entries(read("specs")).map(async ([id, spec]) => {
    try {
      const {view} = await vegaEmbed(`#${id}`, spec, options);
      await view.signal("shown", shown()).runAsync();
      views.push(view);
    } catch (error) { document.getElementById(id).textContent = `This figure cannot be drawn: ${error.message}`; }
  });
  Promise.all(drawing).then(() => { document.documentElement.dataset.drawn = views.length; });

  const every = Number(document.body.dataset.live);
  if (every) {
    const ask = async () => {
      const note = document.getElementById("live");
      try {
        const found = await (await fetch("version")).text();
        note.textContent = " · live";
        if (found !== document.body.dataset.version) { location.reload(); return; }
      } catch { note.textContent = " · the server has ended; this is its last page"; }
      setTimeout(ask, every);
    };
    ask();
  }
})();

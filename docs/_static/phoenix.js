// A link to a name opens the folded entry that it leads to.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const entry = target?.closest("details");
  if (entry && !entry.open) {
    entry.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", unfold);
addEventListener("DOMContentLoaded", unfold);

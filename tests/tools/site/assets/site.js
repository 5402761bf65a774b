// Boxes that scroll sideways are reached by keyboard, and say so.
document.addEventListener("DOMContentLoaded", () => {
  const reach = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .formula, .md-typeset pre > code")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else if (!box.matches("code")) box.removeAttribute("tabindex");
    }
  };
  setTimeout(reach, 300);
  addEventListener("resize", reach);
});

// Runs before the page is drawn: the theme that the person has chosen, "light" or "dark"; without one the system decides.
"use strict";
{
  const chosen = localStorage.getItem("chargehand.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

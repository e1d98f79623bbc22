// Starts the page: who is signed in, the header, and the view that the address names.

import { toast } from "./dialog.js";
import { keys } from "./keys.js";
import { navigate, showAddress, startRouter } from "./router.js";
import { session } from "./session.js";
import { startExpiry } from "./shell/expiry.js";
import { startHeader } from "./shell/header.js";
import { showHelp } from "./shell/help.js";
import { followAddress, showChoice } from "./shell/organization.js";
import { sentenceOf, showProblem } from "./shell/problems.js";
import { showSignIn } from "./shell/sign_in.js";

const ROUTES = [
  [/^\/dashboard\/?$/, () => import("./fleet/view.js")],
  [/^\/dashboard\/chargers\/([^/]+)$/, () => import("./charger/view.js")],
  [/^\/dashboard\/locations$/, () => import("./locations/list.js")],
  [/^\/dashboard\/locations\/([^/]+)$/, () => import("./locations/location.js")],
  [/^\/dashboard\/jobs$/, () => import("./jobs/list.js")],
  [/^\/dashboard\/jobs\/([^/]+)$/, () => import("./jobs/job.js")],
  [/^\/dashboard\/operations$/, () => import("./operations/view.js")],
  [/^/, () => import("./shell/not_found.js")],
];
/** An admin without an organization sees these all the same. */
const FOR_ALL = /^\/dashboard\/operations$/;

const main = document.getElementById("main");

async function start() {
  try {
    await session.start();
  } catch (error) {
    showProblem(main, error, start);
    return;
  }
  followAddress();
  startHeader(document.getElementById("header"));
  startExpiry(document.getElementById("notes"));
  session.on("change", ({ same }) => same || showAddress());
  keys.bind("?", "show this help", showHelp);
  keys.bind("g f", "go to the fleet", () => navigate("/dashboard"));
  keys.bind("g l", "go to the locations", () => navigate("/dashboard/locations"));
  keys.bind("g j", "go to the jobs", () => navigate("/dashboard/jobs"));
  keys.bind("g o", "go to operations", () => navigate("/dashboard/operations"));
  startRouter(ROUTES, main, insteadOfView);
}

/** What is shown in place of the view of the address; null when that can be shown. */
function insteadOfView() {
  if (session.state === "out") return showSignIn;
  if (!session.organization && !FOR_ALL.test(location.pathname)) return showChoice;
  return null;
}

/** What no view has caught: said, and not only in the console. */
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
  else if (event.reason?.detail) {
    event.preventDefault();
    toast(sentenceOf(event.reason), { kind: "failed" });
  }
});

start();

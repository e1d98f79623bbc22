// The data of the view: read once, then kept up to date by the stream.

import { api } from "../client.js";
import { clock } from "../clock.js";
import { live } from "../live.js";
import { paced } from "./draw.js";
import { makeHistory } from "./history.js";
import { makePages } from "./pages.js";

const ROWS = 20; // commands and actions on a page
// That ECS reported the same again is no event: before the last report is stale, the charger is read again.
const AHEAD_MS = 2000;
const REREAD_MS = 10_000; // at most so often
const HOST_MS = 10_000; // a host's process reports so often

/**
 * Read the charger and follow it until the signal is aborted. Raises ApiError; 404 is a charger that is not here.
 *
 * The model has `charger` (as GET /ocpp/chargers/{id} shows it), `commands` and `actions` (see pages.js), `history` of its
 * connectors, `connection` (the state of the stream), `host` (of a shared charger; null before it is read) and `removed` (deleted meanwhile). `onChange(fn)` calls `fn` after
 * changes, at most once per frame of the screen. `refresh()`, `refreshCommands()` and `refreshActions()` read again; `refreshIfStale()` does when ECS was not heard for long,
 * and `refreshHost()` reads the host, at most every 10 s.
 */
export async function makeModel(id, signal) {
  const path = `/ocpp/chargers/${encodeURIComponent(id)}`;
  const listeners = [];
  let frame = 0;
  function changed() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (!signal.aborted) for (const listener of listeners) listener();
    });
  }
  const model = {
    id,
    charger: await api.get(path, {}, { signal }),
    commands: makePages((query) => api.get(`${path}/commands`, query, { signal }), ROWS, changed),
    actions: makePages((query) => api.get("/ocpp/commands", { charger_id: id, ...query }, { signal }), ROWS, changed),
    history: makeHistory(),
    connection: live.status,
    host: null,
    removed: false,
    changed,
    onChange: (listener) => listeners.push(listener),
  };
  /** A failure changes nothing: the header shows that the API is away, and what is here stays. */
  async function quietly(read) {
    try {
      if (!model.removed) await read();
    } catch (error) {
      model.removed ||= error.status === 404;
    }
    changed();
  }
  let nextRead = 0;
  async function readCharger() {
    nextRead = performance.now() + REREAD_MS;
    model.charger = await api.get(path, {}, { signal });
  }
  model.refresh = paced(() => quietly(readCharger), 1000, signal);
  model.refreshCommands = paced(() => quietly(model.commands.readNewest), 300, signal);
  model.refreshActions = paced(() => quietly(model.actions.readNewest), 500, signal);
  model.refreshIfStale = () => {
    const { stale_at } = model.charger.runtime;
    if (stale_at && clock.now() > Date.parse(stale_at) - AHEAD_MS && performance.now() > nextRead) model.refresh();
  };
  model.refreshHost = paced(() => readHost(model, signal), HOST_MS, signal);
  takeConnectors(model, model.charger.connectors);
  follow(model, signal);
  model.refreshCommands();
  model.refreshActions();
  return model;
}

/** A failure changes nothing: the charger is shown without its host. */
async function readHost(model, signal) {
  const { host_id: id } = model.charger.runtime;
  if (document.hidden) return;
  try {
    model.host = id ? await api.get(`/ocpp/hosts/${encodeURIComponent(id)}`, {}, { signal }) : null;
  } catch (error) {
    if (error.status === 404) model.host = null;
  }
  model.changed();
}

function follow(model, signal) {
  live.subscribe(
    {
      charger: (row) => row.id === model.id && takeRow(model, row),
      removed: (id) => {
        if (id !== model.id) return;
        model.removed = true;
        model.changed();
      },
      ready: ({ resumed }) => resumed || refreshAll(model),
      status: (state) => {
        model.connection = state;
        model.changed();
      },
    },
    { signal },
  );
  live.watch(model.id, listenersOf(model), { signal });
}

function refreshAll(model) {
  model.refresh();
  model.refreshCommands();
  model.refreshActions();
}

function takeRow(model, row) {
  if (row.updated_at !== model.charger.updated_at) model.refresh(); // its settings, which a row does not have
  Object.assign(model.charger, structuredClone(row)); // other views have the same one
  model.changed();
}

/** What the events of one charger change. `connectors` comes once a second; whatever else comes is rare. */
function listenersOf(model) {
  return {
    snapshot({ status, error, runtime, connectors, control }) {
      Object.assign(model.charger, { status, error, control });
      Object.assign(model.charger.runtime, runtime);
      takeConnectors(model, connectors);
      refreshAll(model);
    },
    command() {
      model.refreshCommands();
      model.refresh();
    },
    action() {
      model.refreshActions();
    },
    status() {
      model.refresh();
    },
    ocpp({ state, reason, since }) {
      Object.assign(model.charger.runtime.ocpp, { state, reason, since });
      model.refresh(); // the control link may have come or gone with it
      model.changed();
    },
    connectors({ connectors, stale, at }) {
      const { control } = model.charger;
      if (stale !== control.stale || !control.connected) model.refresh();
      Object.assign(control, { stale, reported_at: at });
      takeConnectors(model, connectors);
      model.changed();
    },
  };
}

function takeConnectors(model, connectors) {
  model.charger.connectors = connectors;
  if (connectors && !model.charger.control.stale) model.history.add(connectors);
}

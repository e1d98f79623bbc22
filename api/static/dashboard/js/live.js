// The stream of changes, shared by the tabs of a browser.

const state = { kind: "paused", since: null, detail: "Changes are not streamed yet" };

export const live = {
  /** Call the functions at each charger(row), removed(id), summary(s), ready({resumed}) and status(state), until the signal is aborted. */
  subscribe(listeners, { signal } = {}) {
    void signal;
    listeners.status?.(state);
  },

  /** Also receive the events of one charger: snapshot, command, status, ocpp, action, connectors and, on request, frames. */
  watch(chargerId, listeners, { signal, frames = false } = {}) {
    void [chargerId, listeners, signal, frames];
  },

  /** {kind: "live" | "behind" | "paused" | "down", since, detail} */
  get status() {
    return state;
  },
};

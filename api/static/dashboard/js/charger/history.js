// What the connectors reported since the view was opened, for the plots.

export const MAX_AGE_MS = 5 * 60_000;
const MAX_POINTS = 400; // of a connector, which reports at most once a second

/** `of(connector)` gives its points, oldest first: {at (ms of performance.now()), power_w, energy_wh}. */
export function makeHistory() {
  const points = new Map();
  return {
    add(connectors) {
      const at = performance.now();
      for (const connector of connectors) {
        const kept = points.get(nameOf(connector)) ?? [];
        kept.push({ at, power_w: connector.power_w, energy_wh: drawn(connector) });
        while (kept[0].at < at - MAX_AGE_MS || kept.length > MAX_POINTS) kept.shift();
        points.set(nameOf(connector), kept);
      }
    },
    of: (connector) => points.get(nameOf(connector)) ?? [],
  };
}

/** What the transaction has drawn, in Wh; of a charger of an earlier release the register. Null without a transaction. */
export function drawn({ transaction_id, transaction_energy_wh, energy_wh }) {
  return transaction_id == null ? null : (transaction_energy_wh ?? energy_wh);
}

/** "Connector 1"; in OCPP 2.0.1, where each EVSE has one connector, "EVSE 1". */
export function nameOf({ evse_id, connector_id }) {
  return evse_id == null ? `Connector ${connector_id}` : `EVSE ${evse_id}`;
}

// Which chargers are selected: some, by their checkboxes, or all that match the filters, after a second step.

/** A selection that calls `changed` after each change of it. */
export function makeSelection(changed) {
  const some = new Map(); // id → identity
  let all = null; // {filters, total} once everything that matches is selected
  let last = null; // the id that a range begins at

  function set(rows, isSelected) {
    all = null; // taking one out of all leaves the rows that were selected by hand or on this page
    for (const { id, identity } of rows) {
      if (isSelected) some.set(id, identity);
      else some.delete(id);
    }
    changed();
  }

  return {
    has: (id) => all !== null || some.has(id),
    get size() {
      return all ? all.total : some.size;
    },
    get all() {
      return all;
    },
    get ids() {
      return [...some.keys()];
    },
    set,
    /** Select or take out one; with `isRange`, all rows between it and the one before. */
    choose(rows, id, isSelected, isRange) {
      const from = isRange ? rows.findIndex((row) => row.id === last) : -1;
      const to = rows.findIndex((row) => row.id === id);
      const chosen = from < 0 ? [rows[to]] : rows.slice(Math.min(from, to), Math.max(from, to) + 1);
      last = id;
      set(chosen.filter(Boolean), isSelected);
    },
    selectAll(filters, total) {
      all = { filters: { ...filters }, total };
      changed();
    },
    remove(id) {
      if (some.delete(id)) changed();
    },
    clear() {
      all = null;
      last = null;
      some.clear();
      changed();
    },
  };
}

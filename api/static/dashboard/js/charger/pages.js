// A list that is read page by page, newest first, while new rows are added at its head.

/**
 * `read({page, limit})` gives a page of the API. The list has `rows` (newest first), `isRead` (the first page is here),
 * `hasOlder`, and `since()`: the time from which on it is complete, "" when all of it is here.
 */
export function makePages(read, limit, changed) {
  const byId = new Map();
  const pages = {
    rows: [],
    isRead: false,
    hasOlder: false,
    since: () => (pages.hasOlder ? pages.rows.at(-1).created_at : ""),
    async readNewest() {
      const page = await read({ page: 1, limit });
      // More new rows than a page: those between them and the known ones are not here, so the known ones are dropped.
      if (page.data.length === limit && !page.data.some((row) => byId.has(row.id))) byId.clear();
      take(page);
    },
    async readOlder() {
      // Rows that were added since then moved the pages down: this one begins with some that are here already.
      take(await read({ page: Math.floor(byId.size / limit) + 1, limit }));
    },
  };
  function take(page) {
    for (const row of page.data) byId.set(row.id, row);
    pages.rows = [...byId.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    pages.isRead = true;
    pages.hasOlder = byId.size < page.total;
    changed();
  }
  return pages;
}

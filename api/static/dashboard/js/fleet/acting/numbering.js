// Identities of new chargers: the next free ones after those that exist.

/** `count` identities from `first` on: its last number grows, and keeps its width. Without a number, "-2", "-3" follow. */
export function numbered(first, count) {
  const found = /^(.*?)([0-9]+)([^0-9]*)$/s.exec(first);
  return Array.from({ length: count }, (_, index) => {
    if (index === 0) return first;
    if (!found) return `${first}-${index + 1}`;
    const [, before, digits, after] = found;
    return before + String(BigInt(digits) + BigInt(index)).padStart(digits.length, "0") + after;
  });
}

/** The identity after the highest of these that begin with the prefix and end with a number: "CP-0008" after "CP-0007". */
export function nextAfter(identities, prefix) {
  const numbers = identities
    .filter((identity) => identity.startsWith(prefix))
    .map((identity) => identity.slice(prefix.length))
    .filter((rest) => /^[0-9]{1,9}$/.test(rest))
    .map(Number);
  return prefix + String(Math.max(0, ...numbers) + 1).padStart(4, "0");
}

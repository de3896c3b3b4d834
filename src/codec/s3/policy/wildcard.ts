/** Patterns of policies: `*` is any text, `?` any one character. */

/** Stand for a `*` or `?` that means itself: what a policy variable brings into a pattern must not widen it. Beyond any byte. */
const literal = {star: 0xe000, mark: 0xe001} as const;

/** Text that matches just itself within a pattern. */
export function escapeWildcards(text: string): string {
  return /[*?]/.test(text) ? text.replace(/[*?]/g, (character) => String.fromCharCode(character === '*' ? literal.star : literal.mark)) : text;
}

function fits(code: number, given: number): boolean {
  return code === given || code === 0x3f || (code === literal.star && given === 0x2a) || (code === literal.mark && given === 0x3f);
}

/**
 * Whether all of `text` fits `pattern`. Goes back only to the last star, so the time is at most the product of both lengths, whatever
 * the pattern.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    const code = p < pattern.length ? pattern.charCodeAt(p) : -1;
    if (code === 0x2a) {
      star = p++;
      resume = t;
    } else if (code >= 0 && fits(code, text.charCodeAt(t))) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (p < pattern.length && pattern.charCodeAt(p) === 0x2a) p++;
  return p === pattern.length;
}

/** A pattern made into a test, the common shapes (a constant, `*`, a prefix) without the general algorithm. */
export function wildcardTest(pattern: string): (text: string) => boolean {
  const first = pattern.search(/[*?\ue000\ue001]/);
  if (first < 0) return (text) => text === pattern;
  if (pattern === '*') return () => true;
  if (first === pattern.length - 1 && pattern.endsWith('*')) {
    const prefix = pattern.slice(0, -1);
    return (text) => text.startsWith(prefix);
  }
  return (text) => matchesWildcard(pattern, text);
}

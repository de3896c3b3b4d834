/** Thrown when Weir's own reasoning is wrong. Never caught to continue; the world's failures are `WeirError`. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

/** States what must hold if the code is right. Stays on in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

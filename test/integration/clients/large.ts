/** 16 MiB and 9 bytes of lines of text: any client can write it, in three parts of 8 MiB of which the last is short enough to be recorded. */
export function largeText(): string {
  return `${Array.from({length: (16 << 20) / 64}, (_, line) => `line ${line}`.padEnd(63, '.')).join('\n')}\nthe end.\n`;
}

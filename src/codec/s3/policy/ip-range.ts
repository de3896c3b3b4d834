/** Addresses and ranges of them (CIDR, RFC 4632 and 4291), IPv4 and IPv6. An IPv4 address mapped into IPv6 is the IPv4 address. */

export interface IpRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly prefixBits: number;
}

interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseV6(text: string): bigint | undefined {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const embedded = tail && parseV4(tail[2]!);
  if (tail && embedded === undefined) return undefined;
  const plain = tail ? `${tail[1]!}${((embedded! >> 16n) & 0xffffn).toString(16)}:${(embedded! & 0xffffn).toString(16)}` : text;
  const halves = plain.split('::');
  if (halves.length > 2) return undefined;
  const groupsOf = (half: string) => (half === '' ? [] : half.split(':'));
  const [head, rest] = [groupsOf(halves[0]!), groupsOf(halves[1] ?? '')];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array.from({length: missing}, () => '0'), ...rest]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

const mappedPrefix = 0xffffn << 32n;

/** Undefined for what is no address. */
export function parseIp(text: string): IpAddress | undefined {
  const v4 = parseV4(text);
  if (v4 !== undefined) return {family: 4, value: v4};
  if (!text.includes(':') || text.length > 45) return undefined;
  const v6 = parseV6(text);
  if (v6 === undefined) return undefined;
  return v6 >> 32n === mappedPrefix >> 32n ? {family: 4, value: v6 & 0xffff_ffffn} : {family: 6, value: v6};
}

/** `10.0.0.0/8`, or one address. Undefined for what is no range. */
export function parseIpRange(text: string): IpRange | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  const most = address.family === 4 ? 32 : 128;
  const bits = slash < 0 ? String(most) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > most) return undefined;
  return {family: address.family, first: address.value, prefixBits: Number(bits)};
}

export function inRange(text: string, {family, first, prefixBits}: IpRange): boolean {
  const address = parseIp(text);
  if (!address || address.family !== family) return false;
  const shift = BigInt((family === 4 ? 32 : 128) - prefixBits);
  return address.value >> shift === first >> shift;
}

/** Byte streams between processes. */
export interface Address {
  readonly host: string;
  /** 0 when listening = any free port. */
  readonly port: number;
}

export interface Connection extends AsyncDisposable {
  readonly remote: Address;
  /** Chunks as they come; ends when the peer ends; throws Unavailable when the connection breaks. Read once. */
  readonly incoming: AsyncIterable<Uint8Array>;
  /** Queues buffers for sending; resolves when the queue has room again. Throws Unavailable after a break. */
  write(buffers: readonly Uint8Array[]): Promise<void>;
  /** Sends what is queued, then ends. */
  end(): Promise<void>;
  /** Breaks off at once. */
  destroy(): void;
}

export interface Listener extends AsyncDisposable {
  readonly address: Address;
}

export interface Net {
  /** Unavailable when nobody answers or the signal fires. */
  connect(address: Address, options?: {signal?: AbortSignal}): Promise<Connection>;
  /** AlreadyExists when the port is taken. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>;
}

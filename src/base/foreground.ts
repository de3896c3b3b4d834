/** What programs ask of this process, counted as it comes: what goes on behind gives way to it. */
export class Foreground {
  /** Requests so far. */
  requests = 0;
  /** Of those that may take long, being answered now. */
  underWay = 0;

  /** The same handler, counted. */
  counted<T>(handler: (exchange: T) => Promise<void>): (exchange: T) => Promise<void> {
    const ended = (): void => void this.underWay--;
    return (exchange) => {
      this.requests++;
      this.underWay++;
      const answering = handler(exchange);
      answering.then(ended, ended);
      return answering;
    };
  }
}

/** An HTTP proxy before a real store that answers as a bad day would have it. What a test puts into `mood` is asked at every request. */
import http from 'node:http';
import type {AddressInfo} from 'node:net';

export type Mood =
  /** Answers so, and the store sees nothing. */
  | {readonly kind: 'status'; readonly status: number}
  /** The store has done it; the answer is lost. */
  | {readonly kind: 'lose-answer'}
  /** The store sees nothing and the caller hears nothing. */
  | {readonly kind: 'hang'}
  /** Says nothing more after so many bytes of the answer. */
  | {readonly kind: 'stall'; readonly afterBytes: number}
  /** Breaks the connection after so many bytes of the answer. */
  | {readonly kind: 'cut'; readonly afterBytes: number}
  /** Says in good order that there are fewer bytes than were asked, and sends those. */
  | {readonly kind: 'fewer'; readonly missingBytes: number}
  /** Breaks the connection after so many bytes of the request's body have come; the store sees an upload that breaks off. */
  | {readonly kind: 'cut-upload'; readonly afterBytes: number}
  /** Another ETag on an answer whose condition, if any, has passed: a store that ignores conditions, and the object replaced. */
  | {readonly kind: 'etag'; readonly etag: string};

export interface MisbehavingProxy extends AsyncDisposable {
  readonly port: number;
  mood: (request: http.IncomingMessage) => Mood | undefined;
  /** Requests that have met a mood. */
  spoiled: number;
}

export async function startMisbehavingProxy(storePort: number): Promise<MisbehavingProxy> {
  const agent = new http.Agent({keepAlive: true});
  const server = http.createServer((request, response) => {
    request.on('error', () => {});
    response.on('error', () => {});
    const mood = proxy.mood(request);
    if (mood) proxy.spoiled++;
    if (mood?.kind === 'status') {
      request.resume();
      response.writeHead(mood.status, {'content-type': 'application/xml'});
      response.end(`<?xml version="1.0"?><Error><Code>${mood.status === 503 ? 'SlowDown' : 'InternalError'}</Code><Message>a bad day</Message></Error>`);
      return;
    }
    if (mood?.kind === 'hang') return void request.resume();
    const {method, url: path, headers} = request;
    const forward = http.request({port: storePort, host: '127.0.0.1', method, path, headers, agent, setHost: false});
    forward.on('error', () => request.socket.destroy());
    forward.once('response', answer => {
      answer.on('error', () => request.socket.destroy());
      if (mood?.kind === 'lose-answer') {
        answer.resume();
        answer.once('end', () => request.socket.destroy());
        return;
      }
      const answerHeaders = {...answer.headers};
      if (mood?.kind === 'etag' && answerHeaders.etag) answerHeaders.etag = mood.etag;
      let limit = Infinity;
      if (mood?.kind === 'cut' || mood?.kind === 'stall') limit = mood.afterBytes;
      if (mood?.kind === 'fewer') {
        limit = Math.max(0, Number(answerHeaders['content-length']) - mood.missingBytes);
        answerHeaders['content-length'] = String(limit);
      }
      response.writeHead(answer.statusCode!, answerHeaders);
      let sent = 0;
      answer.on('data', (chunk: Buffer) => {
        const part = chunk.subarray(0, Math.max(0, limit - sent));
        sent += chunk.length;
        if (part.length > 0 && !response.write(part)) {
          answer.pause();
          response.once('drain', () => answer.resume());
        }
        if (mood?.kind === 'cut' && sent >= limit) response.write('', () => request.socket.destroy());
      });
      answer.once('end', () => (mood?.kind === 'stall' ? undefined : response.end()));
    });
    let received = 0;
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (mood?.kind === 'cut-upload' && received > mood.afterBytes) {
        forward.destroy();
        request.socket.destroy();
        return;
      }
      if (!forward.write(chunk)) {
        request.pause();
        forward.once('drain', () => request.resume());
      }
    });
    request.once('end', () => forward.end());
    request.once('close', () => {
      if (!request.complete) forward.destroy();
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const proxy: MisbehavingProxy = {
    port: (server.address() as AddressInfo).port,
    mood: () => undefined,
    spoiled: 0,
    [Symbol.asyncDispose]: () =>
      new Promise(resolve => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

/** Asks for a URL exactly as it is written: `fetch` would take `.` and `..` out of it. */
import http from 'node:http';

export interface Fetched {
  readonly status: number;
  readonly body: string;
}

export async function rawFetch(method: 'GET' | 'PUT', url: string, body?: string): Promise<Fetched> {
  const [, host = '', port = '', target = ''] = /^http:\/\/([^:/]+):(\d+)(\/.*)$/s.exec(url) ?? [];
  return await new Promise<Fetched>((resolve, reject) => {
    const request = http.request({host, port, path: target, method, headers: body === undefined ? {} : {'content-length': Buffer.byteLength(body)}}, response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({status: response.statusCode!, body: text}));
    });
    request.on('error', reject);
    request.end(body);
  });
}

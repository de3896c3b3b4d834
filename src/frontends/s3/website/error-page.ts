/** The page that a website shows when something is wrong and it has none of its own: S3's, every word from outside escaped. */
import type {S3Error} from '#codec/s3/s3-error.ts';
import {escapeXml} from '#codec/s3/xml-write.ts';

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 412: 'Precondition Failed', 416: 'Requested Range Not Satisfiable', 500: 'Internal Server Error', 501: 'Not Implemented',
  503: 'Service Unavailable',
};

const items = (facts: readonly (readonly [string, string])[]): string => `<ul>\n${facts.map(([name, value]) => `<li>${escapeXml(name)}: ${escapeXml(value)}</li>\n`).join('')}</ul>\n`;

/** `custom`: why the site's own error document could not be shown. */
export function errorPage({code, message, status, fields}: S3Error, requestId: string, custom?: S3Error): string {
  const title = `${status} ${reasons[status] ?? 'Error'}`;
  const also = custom ? `<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n${items([['Code', custom.code], ['Message', custom.message], ...Object.entries(custom.fields)])}` : '';
  const facts = items([['Code', code], ['Message', message], ...Object.entries(fields), ['RequestId', requestId], ['HostId', requestId]]);
  return `<html>\n<head><title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n${facts}${also}<hr/>\n</body>\n</html>\n`;
}

import assert from 'node:assert/strict';
import test from 'node:test';
import {parseWebsiteXml, websiteXml} from '#codec/s3/website-xml.ts';
import {type RoutingRule, routed, type Website} from '#model/website.ts';

const rules: readonly RoutingRule[] = [
  {keyPrefix: 'docs/', redirect: {replacePrefix: 'documents/'}},
  {keyPrefix: 'images/', errorStatus: 404, redirect: {replaceKey: 'folderdeleted.html'}},
  {errorStatus: 404, redirect: {hostName: 'other.example', protocol: 'https', replacePrefix: 'report-404/', status: 302}},
  {redirect: {status: 307}},
];
const sites: readonly Website[] = [{index: 'index.html', rules: []}, {index: 'i', error: 'e/404.html', rules}, {redirectAll: {hostName: 'example.com'}}, {redirectAll: {hostName: '[::1]:80', protocol: 'https'}}];
const parse = (text: string): Website => parseWebsiteXml(Buffer.from(`<WebsiteConfiguration>${text}</WebsiteConfiguration>`));

test('a configuration comes back as it was sent', () => {
  for (const site of sites) assert.deepEqual(parseWebsiteXml(Buffer.from(websiteXml(site))), site);
});

test('what S3 refuses is refused', () => {
  const refused = (code: string, text: string): void => assert.throws(() => parse(text), {code}, text);
  const index = '<IndexDocument><Suffix>i</Suffix></IndexDocument>';
  const rule = (inner: string): string => `${index}<RoutingRules><RoutingRule>${inner}</RoutingRule></RoutingRules>`;
  refused('InvalidArgument', '');
  refused('InvalidArgument', '<ErrorDocument><Key>e</Key></ErrorDocument>');
  refused('InvalidArgument', '<IndexDocument><Suffix/></IndexDocument>');
  refused('InvalidArgument', '<IndexDocument><Suffix>a/b</Suffix></IndexDocument>');
  refused('InvalidArgument', `${index}<ErrorDocument><Key/></ErrorDocument>`);
  refused('MalformedXML', '<RedirectAllRequestsTo><Protocol>http</Protocol></RedirectAllRequestsTo>');
  refused('MalformedXML', `${index}<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>`);
  refused('MalformedXML', '<RedirectAllRequestsTo><HostName/></RedirectAllRequestsTo>');
  for (const host of ['h/path', 'h\r\nx: y', 'a b']) refused('InvalidRequest', `<RedirectAllRequestsTo><HostName>${host}</HostName></RedirectAllRequestsTo>`);
  refused('MalformedXML', rule('<Redirect/>'));
  refused('MalformedXML', rule('<Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition>'));
  refused('MalformedXML', rule('<Condition/><Redirect><ReplaceKeyWith>k</ReplaceKeyWith></Redirect>'));
  refused('InvalidRequest', rule('<Condition><HttpErrorCodeReturnedEquals>302</HttpErrorCodeReturnedEquals></Condition><Redirect><ReplaceKeyWith>k</ReplaceKeyWith></Redirect>'));
  refused('InvalidRequest', rule('<Redirect><ReplaceKeyWith>k</ReplaceKeyWith><ReplaceKeyPrefixWith>p</ReplaceKeyPrefixWith></Redirect>'));
  refused('InvalidRequest', rule('<Redirect><HttpRedirectCode>300</HttpRedirectCode></Redirect>'));
  refused('InvalidRequest', rule('<Redirect><Protocol>ftp</Protocol></Redirect>'));
  refused('InvalidRequest', `${index}<RoutingRules>${'<RoutingRule><Redirect><ReplaceKeyWith>k</ReplaceKeyWith></Redirect></RoutingRule>'.repeat(51)}</RoutingRules>`);
});

test('the first rule that fits says where a request goes', () => {
  assert.deepEqual(routed(rules, 'docs/a'), {status: 301, key: 'documents/a'});
  assert.deepEqual(routed(rules, 'x'), {status: 307, key: 'x'});
  assert.deepEqual(routed(rules.slice(0, 3), 'x'), undefined);
  assert.deepEqual(routed(rules, 'images/a', 404), {status: 301, key: 'folderdeleted.html'});
  assert.deepEqual(routed(rules, 'x', 404), {status: 302, key: 'report-404/x', hostName: 'other.example', protocol: 'https'});
  assert.deepEqual(routed(rules, 'x', 403), undefined);
});

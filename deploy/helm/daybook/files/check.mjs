// Run by `helm test`: is the release healthy, does it ask for keys, do both keys work? Nothing is stored.
const { DAYBOOK_URL: base, DAYBOOK_WRITE_KEYS: writeKeys, DAYBOOK_READ_KEYS: readKeys } = process.env;

/** The first of the keys, as a header. */
const bearer = (keys) => ({ authorization: `Bearer ${String(keys).split(',')[0].trim()}` });
const write = bearer(writeKeys);
const read = bearer(readKeys);
const today = new Date().toISOString().slice(0, 10);
const report = `/analytics/daily?from=${today}&to=${today}`;

// What is sent is no event, on purpose: a 400 shows that the key was taken and the body was looked at.
const checks = [
  { name: 'is alive', path: '/health/live', status: 200 },
  { name: 'is ready', path: '/health/ready', status: 200 },
  { name: 'takes no event without a key', path: '/analytics/event', body: '{}', status: 401 },
  { name: 'takes the write key', path: '/analytics/event', body: '{}', headers: write, status: 400 },
  { name: 'gives no report without a key', path: report, status: 401 },
  { name: 'gives a report with the read key', path: report, headers: read, status: 200 },
  { name: 'gives metrics with the read key', path: '/metrics', headers: read, status: 200 },
];

/** What is wrong with the answer, or nothing. */
async function fault({ path, body, headers, status }) {
  const method = body === undefined ? 'GET' : 'POST';
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(30_000);
  const answer = await fetch(`${base}${path}`, { method, body, headers: { ...headers, ...type }, signal });
  const text = await answer.text();
  return answer.status === status ? '' : `${answer.status} instead of ${status}: ${text.slice(0, 500)}`;
}

for (const check of checks) {
  const wrong = await fault(check).catch((error) => `no answer: ${error.cause ?? error}`);
  console.log(wrong === '' ? `ok   ${check.name}` : `FAIL ${check.name}: ${wrong}`);
  if (wrong !== '') process.exitCode = 1;
}

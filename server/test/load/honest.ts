import { Agent, request } from 'node:http';

/*
 * The honest client, in a process of its own: one event every 10 ms, whatever became of the others, on connections that
 * stay open. Prints a line for each: when it was sent (unix milliseconds), how long it took, the status (0: no answer).
 * Ends with its standard input. Arguments: URL, key.
 */

const [url = '', key = ''] = process.argv.slice(2);
const PERIOD_MS = 10;
const TIMEOUT_MS = 10_000;
const agent = new Agent({ keepAlive: true, maxSockets: 256, scheduling: 'lifo' });

let pending = 0;
let sent = 0;
let ended = false;
const beganMs = performance.now();

function post(): void {
  const startedMs = performance.now();
  const body = JSON.stringify({
    type: 'event',
    event_name: 'honest',
    user_id: `honest-${sent}`,
    session_id: 's',
    event_time: Math.floor(Date.now() / 1_000),
  });
  pending += 1;
  let done = false;
  const finish = (status: number) => {
    if (done) return;
    done = true;
    pending -= 1;
    const ms = performance.now() - startedMs;
    process.stdout.write(`${performance.timeOrigin + startedMs} ${ms} ${status}\n`);
    if (ended && pending === 0) process.exit(0);
  };
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    authorization: `Bearer ${key}`,
  };
  const going = request(`${url}/analytics/event`, { agent, method: 'POST', headers, timeout: TIMEOUT_MS });
  going.on('response', (response) => response.resume().on('end', () => finish(response.statusCode ?? 0)));
  going
    .on('timeout', () => going.destroy())
    .on('error', () => finish(0))
    .on('close', () => finish(0));
  going.end(body);
}

const timer = setInterval(() => {
  // Late timers are made up for, so that the rate holds.
  while (sent * PERIOD_MS < performance.now() - beganMs) {
    sent += 1;
    post();
  }
}, PERIOD_MS);

process.stdin.resume().on('end', () => {
  ended = true;
  clearInterval(timer);
  if (pending === 0) process.exit(0);
});

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COMMAND, control, killServers, startServer, runCommand, type Ended } from './server-process.ts';

/* The commands of the built `daybook`, each as a process of its own, with and without a running server. */

let root: string;
let data: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'daybook-'));
  data = join(root, 'data');
});
afterEach(() => {
  killServers();
  rmSync(root, { recursive: true, force: true });
});

function daybook(
  args: readonly string[],
  directory = data,
  env: Record<string, string> = {},
  input = '',
): Promise<Ended> {
  return runCommand(args, { directory, env, cwd: root, input });
}

/** Who may do nothing, where root runs the tests: root itself may do everything. */
const NOBODY = { uid: 65_534, gid: 65_534 };

/**
 * Runs the command as another user, from where that user can read it: the clone may lie in root's home, where nobody else
 * can look. Then it is a copy of what was built, with the packages that it needs and the Node that runs it.
 */
function asNobody(args: readonly string[], directory = data): Promise<Ended> {
  const { node, command } = (readable ??= canRead(NOBODY)
    ? { node: process.execPath, command: COMMAND }
    : copyOfProgram());
  return new Promise((done) => {
    const options = { cwd: '/', env: { PORT: '0', DAYBOOK_DATA_DIR: directory }, ...NOBODY };
    execFile(node, [command, ...args], options, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

interface Program {
  readonly node: string;
  readonly command: string;
}
let readable: Program | undefined;
let copied: string | undefined;
afterAll(() => {
  if (copied !== undefined) rmSync(copied, { recursive: true, force: true });
});

function canRead(user: typeof NOBODY): boolean {
  return spawnSync(process.execPath, [COMMAND, '--version'], { cwd: '/', ...user }).status === 0;
}

function copyOfProgram(): Program {
  copied = mkdtempSync(join(tmpdir(), 'daybook-program-'));
  const clone = join(import.meta.dirname, '../../..');
  const server = join(copied, 'server');
  // Packages that only build and test are left out; they are most of the bytes.
  const left =
    /\/node_modules\/(node|typescript|prettier|ox[a-z]+|lightningcss[a-z-]*|@(typescript|ox[a-z-]+|rolldown))$/;
  const copy = (from: string, to: string) =>
    cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => !left.test(path) });
  copy(join(clone, 'node_modules'), join(copied, 'node_modules'));
  copy(join(clone, 'server/dist'), join(server, 'dist'));
  for (const file of ['package.json', 'node_modules'])
    if (existsSync(join(clone, 'server', file))) copy(join(clone, 'server', file), join(server, file));
  const node = join(copied, 'node');
  cpSync(process.execPath, node, { dereference: true });
  execFileSync('chmod', ['-R', 'u=rwX,go=rX', copied]);
  chmodSync(node, 0o755);
  return { node, command: join(server, 'dist/cli/daybook.js') };
}

const DAY = 86_400;
const START = Date.UTC(2026, 0, 1) / 1_000;

/** Three users over ten days: an id, fractions of a second, text that CSV and JSON must escape. */
function events(count: number) {
  return Array.from({ length: count }, (_, n) => ({
    type: 'event',
    event_name: 'page_view',
    user_id: `user-${n % 3}`,
    session_id: `session-${Math.floor(n / 4)}`,
    event_time: START + (n % 10) * DAY + n / 8,
    page: `/a,"b"\n${n}`,
    ...(n % 2 === 0 ? { event_id: `given-${n}` } : {}),
    ...(n % 5 === 0 ? { properties: { plan: 'größe', nested: { n } } } : {}),
  }));
}

/** Events that hold every code point but NUL and the surrogates, in a name, in keys and in values of properties. */
function unicodeEvents() {
  const points: string[] = [];
  for (let point = 1; point <= 0x10ffff; point += 1)
    if (point < 0xd800 || point > 0xdfff) points.push(String.fromCodePoint(point));
  const size = 95;
  return Array.from({ length: Math.ceil(points.length / size) }, (_, n) => {
    const text = points.slice(n * size, (n + 1) * size).join('');
    return {
      type: 'event' as const,
      event_id: `e-${n}`,
      event_name: text,
      user_id: 'u',
      session_id: 's',
      event_time: START + n,
      properties: { [`k${text}`]: text },
    };
  });
}

const ndjson = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

function write(name: string, content: string | Buffer): string {
  const path = join(root, name);
  writeFileSync(path, content);
  return path;
}

/** Path below the directory → its bytes as text, of every file. */
function contents(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, createHash('sha256').update(readFileSync(path)).digest('hex')];
    }),
  );
}

async function daily(directory = data): Promise<string> {
  const server = await startServer({ directory });
  // What the journal holds at a start is loaded while the server answers.
  await control(directory, 'drain', 30_000);
  const answer = await (await fetch(`${server.url}/analytics/daily`)).text();
  await server.kill('SIGTERM');
  return answer;
}

describe('import', () => {
  it('takes NDJSON, gzip and CSV, and counts nothing twice', async () => {
    const plain = write('events.ndjson', ndjson(events(200)));
    expect(await daybook(['import', plain])).toMatchObject({
      code: 0,
      out: expect.stringContaining('200 accepted, 0 rejected, 0 imported before'),
    });
    const numbers = await daily();
    expect(numbers).toContain('"total_users":3,');

    expect((await daybook(['import', plain])).out).toContain('0 accepted, 0 rejected, 200 imported before');
    expect((await daybook(['import', '--from-start', plain])).out).toContain('200 accepted');
    const zipped = write('again.ndjson.gz', gzipSync(ndjson(events(200))));
    expect((await daybook(['import', zipped])).out).toContain('200 accepted');
    expect(await daily()).toBe(numbers);
    expect((await daybook(['export'])).out.trim().split('\n')).toHaveLength(200);

    const csv = write(
      'events.csv',
      'type,event_name,user_id,session_id,event_time,page,properties\n' +
        `event,open,user-csv,s,${START},"/a ""quoted"", page","{""plan"":""pro""}"\n` +
        `event,open,user-csv,s,${START + 5},,\n`,
    );
    expect(await daybook(['import', csv])).toMatchObject({ code: 0, err: '' });
    expect(await daily()).toContain('"total_users":4,');
  });

  it('goes on where a file ended before it grew', async () => {
    const path = write('log.ndjson', ndjson(events(50)));
    await daybook(['import', path]);
    appendFileSync(path, ndjson(events(60).slice(50)));
    expect((await daybook(['import', path])).out).toContain('10 accepted, 0 rejected, 50 imported before');
    expect((await daybook(['export'])).out.trim().split('\n')).toHaveLength(60);
  });

  it('regression: takes another file under the same name, also a longer one', async () => {
    const path = write('app.ndjson', ndjson(events(30)));
    await daybook(['import', path]);
    writeFileSync(path, ndjson(events(80).slice(40)));
    expect((await daybook(['import', path])).out).toContain('40 accepted, 0 rejected, 0 imported before');
    expect((await daybook(['export'])).out.trim().split('\n')).toHaveLength(70);
  });

  it('regression: looks at rejected lines again, until they are repaired', async () => {
    const [first, second, third] = events(3);
    const path = write('mend.ndjson', ndjson([first!, { ...second, user_id: 7 }, third!]));
    for (const _ of [1, 2]) {
      expect(await daybook(['import', path])).toMatchObject({
        code: 1,
        out: expect.stringContaining('2 accepted, 1 rejected, 0 imported before'),
      });
    }
    writeFileSync(path, ndjson([first!, second!, third!]));
    expect(await daybook(['import', path])).toMatchObject({ code: 0 });
    expect((await daybook(['export'])).out.trim().split('\n')).toHaveLength(3);
  });

  it('names the line and the field of each bad event, imports the rest, and ends with 1', async () => {
    const [first, second] = events(2);
    const path = write('bad.ndjson', ndjson([first!, { ...second, user_id: 7 }]) + '{"type":\n');
    const { code, out, err } = await daybook(['import', path]);
    expect(code).toBe(1);
    expect(out).toContain('1 accepted, 2 rejected');
    expect(err).toContain('bad.ndjson:2: user_id');
    expect(err).toContain('bad.ndjson:3: ');
  });

  it('sends to the server that runs on the directory', async () => {
    const server = await startServer({ directory: data });
    const path = write('events.ndjson', ndjson(events(20)));
    expect((await daybook(['import', path])).code).toBe(0);
    // The command has waited for the loader, so the report counts every event.
    expect(await (await fetch(`${server.url}/analytics/daily`)).text()).toContain('"total_users":3,');
  });

  it('regression: says which file cannot be read, whatever the reason', async () => {
    const files = [
      write('no-gzip.ndjson.gz', 'not compressed'),
      write('odd.csv', 'event_name,user_id\n"a,b\n'),
      write('events.txt', '{}'),
    ];
    for (const file of files) {
      const { code, err } = await daybook(['import', file]);
      expect([code, err.split('\n')[0]], file).toEqual([1, expect.stringContaining(`daybook: ${file}: `)]);
    }
  });

  it('regression: takes CSV without a type, which can only be one', async () => {
    const head = 'event_name,user_id,session_id,event_time';
    const file = write('plain.csv', `${head}\nopen,u,s,${START}\nopen,v,s,${START}\n`);
    expect(await daybook(['import', file])).toMatchObject({ code: 0, err: '' });
    const typed = write('typed.csv', `type,${head}\n,open,w,s,${START}\nidentify,open,x,s,${START}\n`);
    expect(await daybook(['import', typed])).toMatchObject({
      code: 1,
      out: expect.stringContaining('1 accepted, 1 rejected'),
      err: expect.stringContaining('typed.csv:3: type must be "event"'),
    });
  });

  it('regression: reads NDJSON from standard input', async () => {
    const text = ndjson(events(20)) + '{"type":\n';
    for (const _ of [1, 2]) {
      expect(await daybook(['import', '-'], data, {}, text)).toMatchObject({
        code: 1,
        out: expect.stringContaining('standard input: 20 accepted, 1 rejected, 0 imported before'),
        err: expect.stringContaining('standard input:21: '),
      });
    }
    expect((await daybook(['export'])).out.trim().split('\n')).toHaveLength(20);
  });

  it('regression: prints nothing that a terminal would obey, wherever it comes from', async () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egnp';
    const [first, second] = events(2);
    const bad = [
      { ...first!, type: evil },
      { ...second!, [`x${evil}`]: 1 },
      { ...second!, user_id: [evil] },
    ];
    // What JSON writes as an escape stands in the file as it is.
    const raw = ndjson(bad).replaceAll(/\\u([0-9a-f]{4})/g, (_, hex: string) =>
      Number.parseInt(hex, 16) < 0x20 ? `\\u${hex}` : String.fromCodePoint(Number.parseInt(hex, 16)),
    );
    const file = write(`events\u001b[2J.ndjson`, `${raw}${evil}\n{"a${evil}\n`);
    const csv = write('odd.csv', `event_name,a${evil},a${evil}\n1,2,3\n`);
    const texts: string[] = [];
    for (const path of [file, csv, `missing${evil}.ndjson`, `${evil}.txt`]) {
      const { code, out, err } = await daybook(['import', path]);
      expect(code).toBe(1);
      texts.push(out, err);
    }
    expect(texts.join('')).toContain('owned');
    // oxlint-disable-next-line no-control-regex -- those are what must not be there
    expect(texts.join('')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e]/);
    // The warehouse, too, may have kept some of it.
    expect((await daybook(['dead-letters'])).code).toBe(0);
  });

  it('regression: does not believe a server that is none of ours, nor print what it says as it is', async () => {
    const answers = [
      [200, '{}'],
      [200, 'hello'],
      [500, `{"detail":"\u001b[2Jgone ${'x'.repeat(10_000)}"}`],
      [400, '<html>'],
      [207, 'null'],
    ] as const;
    const file = write('events.ndjson', ndjson(events(1)));
    for (const [status, body] of answers) {
      const server = createHttpServer((_request, response) => response.writeHead(status).end(body)).listen(
        0,
        '127.0.0.1',
      );
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { code, err } = await daybook(['import', '--url', url, file]);
      server.close();
      expect([code, err.split('\n').length], err).toEqual([1, 2]);
      expect(err).toContain(`${status} `);
      expect(err).not.toContain('\u001b');
      expect(err.length).toBeLessThan(1_000);
    }
  });

  it('regression: refuses CSV whose columns share a name, and CSV that is not UTF-8', async () => {
    const row = `open,u,s,${START}`;
    const twice = write('twice.csv', `event_name,user_id,session_id,event_time,user_id\n${row},v\n`);
    expect(await daybook(['import', twice])).toMatchObject({
      code: 1,
      err: `daybook: ${twice}: several columns are named "user_id": each name may stand in the first line once\n`,
    });
    const latin = write(
      'latin.csv',
      Buffer.from(`event_name,user_id,session_id,event_time\ngr\u00f6\u00dfe,u,s,${START}\n`, 'latin1'),
    );
    expect(await daybook(['import', latin])).toMatchObject({
      code: 1,
      err: expect.stringContaining(`${latin}: the file is not UTF-8`),
    });
  });

  it('regression: names lines that are too long or not UTF-8, and sends the others as they are', async () => {
    const [first] = events(1);
    const number = '12345678901234567890.10';
    const exact = `{ "properties":{"n":${number}}, ${JSON.stringify({ ...first, event_id: 'exact', properties: undefined }).slice(1)}`;
    const file = write(
      'odd.ndjson',
      Buffer.concat([
        Buffer.from(`\ufeff${exact}\r\n\u00a0\n`),
        Buffer.from('{"event_name":"gr\u00f6\u00dfe"}\n', 'latin1'),
        Buffer.alloc(5_000_000, 'x'),
        Buffer.from(`\n${JSON.stringify(first)}`),
      ]),
    );
    const { code, out, err } = await daybook(['import', file]);
    expect([code, out], err).toEqual([1, expect.stringContaining('1 accepted, 4 rejected')]);
    // It would have been rounded before it was sent, and stored.
    expect(err).toContain('odd.ndjson:1: properties/n numbers must lie within');
    expect(err).toContain('odd.ndjson:3: the line is not UTF-8');
    expect(err).toContain('odd.ndjson:4: the line has 5000000 bytes');
    expect(err).toContain('odd.ndjson:2: ');
  });

  /** Events without ids, written as other tools do: with spaces, a field of null, and a character that earlier versions split at. */
  const spaced = (n: number) => ({
    type: 'event',
    event_name: 'open',
    user_id: `u${n}`,
    session_id: 's',
    event_time: START + n,
  });
  const spacedLine = (n: number) => JSON.stringify(spaced(n), null, 1).replaceAll('\n', ' ');

  it('regression: gives events without an id the ids that earlier versions gave them', async () => {
    const lines = [spacedLine(1), `{"page":null, ${spacedLine(2).slice(1)}`, `["\u2028"]`, spacedLine(3)];
    const file = write('spaced.ndjson', `${lines.join('\n')}\n`);
    expect((await daybook(['import', file])).out).toContain('3 accepted, 1 rejected');
    const idOf = (place: number, event: object) =>
      `import-${createHash('sha256')
        .update(`${place}:${JSON.stringify(event)}`)
        .digest('hex')
        .slice(0, 32)}`;
    const exported = (await daybook(['export'])).out.trim().split('\n');
    expect(exported.map((line) => (JSON.parse(line) as { event_id: string }).event_id)).toEqual([
      idOf(1, spaced(1)),
      idOf(2, spaced(2)),
      idOf(5, spaced(3)),
    ]);
  });

  it('regression: goes on where an earlier version ended', async () => {
    const file = write('noted.ndjson', `${spacedLine(1)}\n${spacedLine(2)}\n${spacedLine(3)}\n`);
    const digest = createHash('sha256').update(
      [spaced(1), spaced(2)].map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
    const name = createHash('sha256')
      .update(`local\n${realpathSync(file)}`)
      .digest('hex');
    mkdirSync(join(data, 'imports'), { recursive: true, mode: 0o700 });
    writeFileSync(
      join(data, 'imports', `${name}.json`),
      JSON.stringify({ records: 2, digest: digest.digest('hex') }),
    );
    expect((await daybook(['import', file])).out).toContain('1 accepted, 0 rejected, 2 imported before');
  });

  it('regression: a field of null changes no other value, nor do the properties of a CSV', async () => {
    const head = '"type":"event","event_name":"open","user_id":"u","session_id":"s"';
    const ndjsonFile = write(
      'nulls.ndjson',
      `{"page":null,${head},"event_time":${START},"properties":{"f":1e400}}\n` +
        `{ "p\\u0061ge" : null , ${head},"event_time":${START},"properties":{"a":"}\\",null","b":[{"page":null}]} }\n`,
    );
    const { out, err } = await daybook(['import', ndjsonFile]);
    expect(out, err).toContain('1 accepted, 1 rejected');
    expect(err).toContain('nulls.ndjson:1: properties/f numbers must lie within');
    expect(JSON.parse((await daybook(['export'])).out)).toMatchObject({
      properties: { a: '}",null', b: [{ page: null }] },
    });
    const csv = write(
      'numbers.csv',
      `event_name,user_id,session_id,event_time,properties\nopen,u,s,${START},"{""f"":1e400}"\nopen,u,s,1e400,"{\n}"\n`,
    );
    const ended = await daybook(['import', csv]);
    expect(ended.out, ended.err).toContain('0 accepted, 2 rejected');
    expect(ended.err).toContain('properties/f numbers must lie within');
    expect(ended.err).toContain('event_time');
  });

  it('says which file is missing', async () => {
    expect(await daybook(['import', 'nowhere.ndjson'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('nowhere.ndjson'),
    });
  });
});

describe('export', () => {
  it.each(['ndjson', 'csv'])('as %s is imported elsewhere with the same numbers', async (format) => {
    await daybook(['import', write('events.ndjson', ndjson(events(200)))]);
    const file = join(root, `out.${format}`);
    expect(await daybook(['export', '--format', format, '--output', file])).toMatchObject({ code: 0 });
    const other = join(root, 'other');
    expect(await daybook(['import', file], other)).toMatchObject({
      code: 0,
      out: expect.stringContaining('200 accepted, 0 rejected'),
    });
    expect(await daily(other)).toBe(await daily());
    const rows = async (directory: string) =>
      (await daybook(['export'], directory)).out.split('\n').toSorted();
    expect(await rows(other)).toEqual(await rows(data));
  });

  it('regression: carries all of Unicode, as NDJSON and as CSV, plain and compressed', async () => {
    const sent = unicodeEvents();
    const first = write('all.ndjson.gz', gzipSync(ndjson(sent)));
    const whole = { code: 0, err: '', out: expect.stringContaining(`${sent.length} accepted, 0 rejected`) };
    expect(await daybook(['import', first])).toMatchObject(whole);
    const stored = async (directory: string) => {
      const file = join(root, 'stored.ndjson');
      await daybook(['export', '--output', file], directory);
      const found = readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as (typeof sent)[number]);
      return found.toSorted((a, b) => a.event_time - b.event_time);
    };
    expect(await stored(data)).toEqual(sent);
    for (const format of ['ndjson', 'csv']) {
      const file = join(root, `out.${format}`);
      expect(await daybook(['export', '--format', format, '--output', file])).toMatchObject({ code: 0 });
      const plain = readFileSync(file);
      const files = format === 'csv' ? [write('out.csv.zst', zstdCompressSync(plain))] : [file];
      for (const path of files) {
        const other = join(root, `other-${format}`);
        expect(await daybook(['import', path], other)).toMatchObject(whole);
        expect(await stored(other), path).toEqual(sent);
      }
    }
  }, 180_000);

  it('writes a range of days, both included', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(100)))]);
    const { out } = await daybook(['export', '--from', '2026-01-02', '--to', '2026-01-03']);
    const days = out
      .trim()
      .split('\n')
      .map((line) => Math.floor(((JSON.parse(line) as { event_time: number }).event_time - START) / DAY));
    expect(days.filter((day) => day === 1)).toHaveLength(10);
    expect(days.filter((day) => day === 2)).toHaveLength(10);
    expect(days).toHaveLength(20);
  });

  it('regression: writes NDJSON that the batch route takes as it is', async () => {
    const sparse = {
      ...events(1)[0]!,
      event_id: 'sparse',
      page: undefined,
      properties: { none: null, text: '","\u0001' },
    };
    await daybook(['import', write('events.ndjson', ndjson([...events(30), sparse]))]);
    const { out } = await daybook(['export']);
    expect(JSON.parse(out.split('\n').find((line) => line.includes('"sparse"'))!)).toEqual({
      ...JSON.parse(JSON.stringify(sparse)),
    });
    const server = await startServer({ directory: join(root, 'other') });
    const answer = await fetch(`${server.url}/analytics/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: out,
    });
    expect([answer.status, await answer.text()]).toEqual([200, '{"accepted":31}']);
  });

  it.each([
    [['--from', '2026-01-03', '--to', '2026-01-02'], '--from 2026-01-03 is after --to 2026-01-02'],
    [['--from', '2026-02-31'], '--from 2026-02-31: must be a day'],
    [['--to', 'today'], '--to today: must be a day'],
    [['--format', 'parquet'], 'parquet needs --output'],
  ])('regression: called with %j says what is wrong with it', async (options, text) => {
    expect(await daybook(['export', ...options])).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining(text),
    });
  });

  it('regression: ends quietly when who reads it stops', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(5_000)))]);
    const command = `{ "$NODE" "$COMMAND" export; echo "code $?" >&2; } | head -n 1`;
    const env = { PATH: process.env['PATH'], DAYBOOK_DATA_DIR: data, NODE: process.execPath, COMMAND };
    const { out, err } = await new Promise<{ out: string; err: string }>((done) => {
      execFile('sh', ['-c', command], { cwd: root, env }, (_error, stdout, stderr) =>
        done({ out: stdout, err: stderr }),
      );
    });
    expect(out.trim().split('\n')).toHaveLength(1);
    expect(err).toBe('code 0\n');
    expect(readdirSync(join(data, 'exports'))).toEqual([]);
  });

  it('writes Parquet, which needs a file', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(10)))]);
    const file = join(root, 'events.parquet');
    expect((await daybook(['export', '--format', 'parquet', '--output', file])).code).toBe(0);
    expect(readFileSync(file).subarray(0, 4).toString()).toBe('PAR1');
  });
});

describe('backup and restore', () => {
  it('copy while serving what was acknowledged before, and bring it back', async () => {
    const server = await startServer({ directory: data });
    const send = (user: string) =>
      fetch(`${server.url}/analytics/event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...events(1)[0], event_id: user, user_id: user }),
      });
    expect((await send('before')).status).toBe(200);
    const copy = join(root, 'copy');
    expect(await daybook(['backup', copy])).toMatchObject({ code: 0 });
    expect((await send('after')).status).toBe(200);
    await control(data, 'drain', 10_000);

    expect(await daybook(['restore', copy])).toMatchObject({
      code: 1,
      err: expect.stringContaining('already'),
    });
    await server.kill('SIGTERM');
    expect(await daybook(['restore', copy])).toMatchObject({
      code: 1,
      err: expect.stringContaining('--force'),
    });
    expect(await daybook(['restore', '--force', copy])).toMatchObject({ code: 0 });
    expect(readdirSync(data).filter((name) => name.startsWith('replaced-'))).toHaveLength(1);
    expect(await daily()).toContain('"total_users":1,');

    const fresh = join(root, 'fresh');
    expect(await daybook(['restore', copy], fresh)).toMatchObject({ code: 0 });
    const restored = await startServer({ directory: fresh });
    await control(fresh, 'drain', 10_000);
    expect(await (await fetch(`${restored.url}/analytics/daily`)).text()).toContain('"total_users":1,');
  });

  it('puts a warehouse back beside a journal whose events wait for it', async () => {
    const events10 = events(10);
    await daybook(['import', write('first.ndjson', ndjson(events10))]);
    const users = new Set(events10.map(({ user_id: user }) => user)).size;
    const copy = join(root, 'copy');
    expect(await daybook(['backup', copy])).toMatchObject({ code: 0 });
    const warehouse = join(data, 'daybook.duckdb');
    writeFileSync(warehouse, 'garbage'.repeat(10_000));
    const server = await startServer({ directory: data });
    const waiting = { ...events10[0], event_id: 'waiting', user_id: 'waiting' };
    const answer = await fetch(`${server.url}/analytics/event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(waiting),
    });
    expect(answer.status).toBe(200);
    await server.kill('SIGTERM');
    rmSync(warehouse);
    expect(await daybook(['restore', copy])).toMatchObject({ code: 0, out: expect.stringContaining('kept') });
    expect(await daily()).toContain(`"total_users":${users + 1},`);
  });

  it('regression: puts no warehouse back beside a journal that ends before it', async () => {
    await daybook(['import', write('first.ndjson', ndjson(events(10)))]);
    const copy = join(root, 'copy');
    expect(await daybook(['backup', copy])).toMatchObject({ code: 0 });
    rmSync(join(data, 'daybook.duckdb'));
    const journal = join(data, 'journal');
    // As a disk does that lost what it had synced.
    for (const name of readdirSync(journal).filter((file) => file.endsWith('.log')))
      writeFileSync(join(journal, name), Buffer.alloc(8 * 1_024 * 1_024));
    const acked = readFileSync(join(journal, 'acked'), 'latin1');
    writeFileSync(join(copy, 'journal/acked'), acked.replace(/\d{16}\n/, `${'0'.repeat(16)}\n`));
    rmSync(join(copy, 'manifest.json'));
    const before = contents(data);
    const restore = () => daybook(['restore', '--without-manifest', copy]);
    expect(await restore()).toMatchObject({ code: 1, err: expect.stringContaining('it has lost events') });
    expect(contents(data)).toEqual(before);
    renameSync(journal, join(data, 'journal-aside'));
    expect(await restore()).toMatchObject({ code: 0 });
  });

  it('regression: an import after a restore brings in again what the restore took away', async () => {
    await daybook(['import', write('first.ndjson', ndjson(events(10)))]);
    const copy = join(root, 'copy');
    await daybook(['backup', copy]);
    const later = write('later.ndjson', ndjson(events(30).slice(10)));
    await daybook(['import', later]);
    expect(await daybook(['restore', '--force', copy])).toMatchObject({ code: 0 });
    expect((await daybook(['import', later])).out).toContain('20 accepted, 0 rejected, 0 imported before');
    expect((await daybook(['export'])).out.trim().split('\n')).toHaveLength(30);
  });

  /** A data directory with events, and its backup. */
  async function backedUp(): Promise<string> {
    await daybook(['import', write('first.ndjson', ndjson(events(10)))]);
    const copy = join(root, 'copy');
    expect(await daybook(['backup', copy])).toMatchObject({ code: 0, err: '' });
    return copy;
  }

  it('regression: the copy says what it is, and doctor checks every byte of it', async () => {
    const copy = await backedUp();
    expect(readdirSync(copy).toSorted()).toEqual(['daybook.duckdb', 'journal', 'manifest.json']);
    const manifest = JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8')) as {
      files: { path: string; bytes: number; sha256: string }[];
    };
    expect(manifest).toMatchObject({ format: 1, daybook: expect.any(String), schema: 2 });
    expect(manifest.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['daybook.duckdb', 'journal/acked']),
    );
    for (const { path, bytes, sha256 } of manifest.files) {
      const content = readFileSync(join(copy, path));
      expect([content.length, createHash('sha256').update(content).digest('hex')]).toEqual([bytes, sha256]);
    }
    expect(await daybook(['doctor', '--backup', copy])).toMatchObject({
      code: 0,
      out: expect.stringContaining('is whole'),
    });
    const file = join(copy, 'daybook.duckdb');
    const content = readFileSync(file);
    content[content.length >> 1]! ^= 1;
    writeFileSync(file, content);
    expect(await daybook(['doctor', '--backup', copy])).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^✗ .*daybook\.duckdb is damaged/),
    });
  });

  /** Name → what is done to a backup, and what must be said of it. */
  const BROKEN: Readonly<Record<string, readonly [(copy: string) => void, string]>> = {
    'without a manifest': [(copy) => rmSync(join(copy, 'manifest.json')), 'has no manifest.json'],
    'killed before it was whole': [(copy) => mkdirSync(join(copy, 'incomplete')), 'is not whole'],
    'cut to a half': [
      (copy) => truncateSync(join(copy, 'daybook.duckdb'), statSync(join(copy, 'daybook.duckdb')).size / 2),
      'bytes, and should have',
    ],
    'of which a byte is another': [(copy) => flip(join(copy, 'daybook.duckdb')), 'is damaged'],
    'of whose journal a byte is another': [(copy) => flip(join(copy, 'journal/acked')), 'is damaged'],
    'without a file': [(copy) => rmSync(join(copy, 'journal/acked')), 'it has no journal/acked'],
    'with a file too many': [
      (copy) => writeFileSync(join(copy, 'journal/0000000000099999.log'), ''),
      'which its manifest does not name',
    ],
    'with a log of the warehouse': [
      (copy) => writeFileSync(join(copy, 'daybook.duckdb.wal'), ''),
      'is no part of a backup',
    ],
    'whose manifest is garbage': [(copy) => writeFileSync(join(copy, 'manifest.json'), '{'), 'is damaged'],
    'whose manifest names a file outside': [
      (copy) => edit(copy, ({ files }) => (files[0]!.path = '../data/other')),
      'is damaged',
    ],
    'whose manifest names a file twice': [
      (copy) => edit(copy, ({ files }) => files.push(files[0]!)),
      'its manifest names a file twice',
    ],
    'of a newer format': [(copy) => edit(copy, (manifest) => (manifest.format = 2)), 'use a newer Daybook'],
    'of a newer schema': [(copy) => edit(copy, (manifest) => (manifest.schema = 99)), 'use a newer Daybook'],
    'whose warehouse is a link': [(copy) => link(join(copy, 'daybook.duckdb')), 'is a link'],
    'whose journal holds a link': [(copy) => link(join(copy, 'journal/acked')), 'is a link'],
    'whose journal is a link': [(copy) => link(join(copy, 'journal')), 'is a link'],
    'whose manifest is a link': [(copy) => link(join(copy, 'manifest.json')), 'is a link'],
    'with a pipe': [
      (copy) => execFileSync('mkfifo', [join(copy, 'journal/0000000000099999.log')]),
      'is no part of a backup',
    ],
  };
  const flip = (path: string) => {
    const content = readFileSync(path);
    content[10]! ^= 1;
    writeFileSync(path, content);
  };
  const edit = (
    copy: string,
    change: (manifest: { format: number; schema: number; files: { path: string }[] }) => unknown,
  ) => {
    const path = join(copy, 'manifest.json');
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as Parameters<typeof change>[0];
    change(manifest);
    writeFileSync(path, JSON.stringify(manifest));
  };
  const link = (path: string) => {
    renameSync(path, `${path}-target`);
    renameSync(`${path}-target`, join(root, 'target'));
    symlinkSync(join(root, 'target'), path);
  };

  it('regression: refuse a backup that is not whole or not one, before anything is moved', async () => {
    const copy = await backedUp();
    const before = contents(data);
    for (const [name, [damage, text]] of Object.entries(BROKEN)) {
      const broken = join(root, 'broken');
      cpSync(copy, broken, { recursive: true });
      damage(broken);
      expect(await daybook(['restore', '--force', broken]), name).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringContaining(text),
      });
      expect(contents(data), name).toEqual(before);
      for (const path of [broken, join(root, 'target')]) rmSync(path, { recursive: true, force: true });
    }
  }, 120_000);

  it('regression: a hostile warehouse is not restored, nor served where it was put by hand', async () => {
    const copy = await backedUp();
    const before = contents(data);
    const script = `
      import { DuckDBInstance } from '@duckdb/node-api';
      const instance = await DuckDBInstance.create(process.argv[1]);
      const connection = await instance.connect();
      for (const sql of ['DROP TABLE daily', \`CREATE VIEW daily AS SELECT 'default' AS project,
        DATE '2020-01-01' AS day, 1::BIGINT AS active_users, 1::BIGINT AS new_users, 1::BIGINT AS sessions,
        (SELECT size FROM read_text('/etc/passwd')) AS session_duration_us\`]) await connection.run(sql);
      connection.closeSync(); instance.closeSync();`;
    const file = join(copy, 'daybook.duckdb');
    execFileSync(process.execPath, ['--input-type=module', '-e', script, file], { cwd: import.meta.dirname });
    rmSync(join(copy, 'manifest.json'));
    expect(await daybook(['restore', '--force', '--without-manifest', copy])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/nothing was restored: .*the view "daily"/),
    });
    expect(contents(data)).toEqual(before);

    cpSync(file, join(data, 'daybook.duckdb'));
    const server = await startServer({ directory: data });
    const answer = await fetch(`${server.url}/analytics/daily`);
    expect([answer.status, await answer.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'warehouse-unavailable' }),
    ]);
    expect(server.log()).toContain('the view');
    await server.kill('SIGTERM');
    expect((await daybook(['doctor'])).out).toContain('the view "daily"');
  });

  it('regression: a backup whose positions nothing counted is not restored, nor served where it was put by hand', async () => {
    const copy = await backedUp();
    const before = contents(data);
    const acked = join(copy, 'journal/acked');
    const right = readFileSync(acked, 'latin1');
    rmSync(join(copy, 'manifest.json'));
    const refused = (text: string) => ({ code: 1, err: expect.stringContaining(text) });
    const restore = () => daybook(['restore', '--force', '--without-manifest', copy]);
    for (const [position, text] of [
      ['9999999999999999', 'the file acked has position'],
      ['0000000000999999', 'journal/acked is at position 999999'],
    ] as const) {
      writeFileSync(acked, right.replace(/\d{16}\n/, `${position}\n`));
      expect(await restore()).toMatchObject(refused(text));
    }
    writeFileSync(acked, right);
    for (const [end, text] of [
      ['999999', 'daybook.duckdb is at position 999999'],
      ['9223372036854775807', 'the table positions has position'],
    ] as const) {
      const script = `
        import { DuckDBInstance } from '@duckdb/node-api';
        const instance = await DuckDBInstance.create(process.argv[1]);
        const connection = await instance.connect();
        await connection.run('UPDATE positions SET "end" = ${end}');
        connection.closeSync(); instance.closeSync();`;
      const file = join(copy, 'daybook.duckdb');
      execFileSync(process.execPath, ['--input-type=module', '-e', script, file], {
        cwd: import.meta.dirname,
      });
      expect(await restore()).toMatchObject(refused(text));
    }
    expect(contents(data)).toEqual(before);

    cpSync(join(copy, 'daybook.duckdb'), join(data, 'daybook.duckdb'));
    const server = await startServer({ directory: data });
    expect((await fetch(`${server.url}/analytics/daily`)).status).toBe(503);
    expect(server.log()).toContain('the table positions has position');
    await server.kill('SIGTERM');
  });

  it('takes a backup of before manifests where it is told to, over a link to its folder too', async () => {
    const copy = await backedUp();
    const numbers = await daily();
    rmSync(join(copy, 'manifest.json'));
    symlinkSync(copy, join(root, 'latest'));
    const fresh = join(root, 'fresh');
    expect(await daybook(['restore', join(root, 'latest')], fresh)).toMatchObject({
      code: 1,
      err: expect.stringContaining('--without-manifest'),
    });
    expect(existsSync(fresh)).toBe(false);
    expect(await daybook(['restore', '--without-manifest', join(root, 'latest')], fresh)).toMatchObject({
      code: 0,
    });
    expect(await daily(fresh)).toBe(numbers);
  });

  it('regression: a restore that was interrupted is told of and completed by a start', async () => {
    const copy = await backedUp();
    const numbers = await daily();
    const fresh = join(root, 'fresh');
    expect((await daybook(['restore', copy], fresh)).code).toBe(0);
    // As if it had been killed after its marker was written.
    mkdirSync(join(fresh, 'restoring'));
    for (const name of ['journal', 'daybook.duckdb'])
      renameSync(join(fresh, name), join(fresh, 'restoring', name));
    const marker = { aside: 'replaced-x', move: [], place: ['journal', 'daybook.duckdb'] };
    writeFileSync(join(fresh, 'restore.json'), JSON.stringify(marker));
    expect(await daybook(['doctor'], fresh)).toMatchObject({
      code: 1,
      out: expect.stringContaining('was interrupted'),
    });
    expect(existsSync(join(fresh, 'restore.json'))).toBe(true);
    expect(await daily(fresh)).toBe(numbers);
    expect(readdirSync(fresh)).not.toContain('restore.json');
    expect(readdirSync(fresh)).not.toContain('restoring');
  });

  it('refuse a directory that is not empty, and one that is no backup', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(1)))]);
    expect(await daybook(['backup', root])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not empty'),
    });
    expect(await daybook(['restore', root])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not a backup'),
    });
  });
});

describe('verify and doctor', () => {
  it('find nothing wrong, with and without a server', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(30)))]);
    for (const state of ['stopped', 'running']) {
      if (state === 'running') await startServer({ directory: data });
      expect(await daybook(['verify']), state).toMatchObject({
        code: 0,
        out: expect.stringContaining('agree'),
      });
      const { code, out } = await daybook(['doctor']);
      expect(out, state).not.toContain('✗');
      expect(code, state).toBe(0);
    }
  });

  it('doctor says what is wrong with the configuration', async () => {
    const { code, out } = await daybook(['doctor'], data, { PORT: 'x', DAYBOOK_COLOUR: 'red' });
    expect(code).toBe(78);
    expect(out).toContain('✗ PORT');
    expect(out).toContain('✗ DAYBOOK_COLOUR');
  });

  it('doctor says what to do about a warehouse that is no database', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(1)))]);
    writeFileSync(join(data, 'daybook.duckdb'), 'garbage'.repeat(10_000));
    const { code, out } = await daybook(['doctor']);
    expect(code).toBe(1);
    expect(out).toContain('✗');
    expect(out).toContain('daybook restore');
  });
});

describe('a call that is wrong', () => {
  it.each([['foo'], ['exports', '--from', '2026-01-01']])(
    'regression: of %s is answered with the list of commands',
    async (...words) => {
      const { code, out, err } = await daybook(words);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(`there is no command "${words[0]}"`);
      for (const name of ['serve', 'import', 'export', 'backup', 'doctor', 'gcp'])
        expect(err).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
      expect(existsSync(data)).toBe(false);
    },
  );

  it.each([
    [['export', '--colour', 'red'], '--colour'],
    [['import'], 'file'],
    [['gcp', 'foo'], 'foo'],
    [['dead-letters', '--limit', 'x'], '"x" is not a whole number'],
  ])('regression: %j ends with 2 and says why', async (words, text) => {
    expect(await daybook(words)).toMatchObject({ code: 2, err: expect.stringContaining(text) });
  });

  it('help and version are none', async () => {
    for (const words of [['--help'], ['help'], ['--version'], ['export', '--help']])
      expect(await daybook(words), words.join(' ')).toMatchObject({ code: 0, err: '' });
  });
});

describe('serve', () => {
  it('refuses a directory that another process serves, and says which', async () => {
    const server = await startServer({ directory: data });
    const second = await daybook(['serve'], data, { PORT: '0' });
    expect(second.code).toBe(1);
    expect(second.err).toContain(String(server.pid));
    expect(second.err).toContain(data);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  });

  it('prints all faults of the environment and ends with 78, before it touches the disk', async () => {
    const { code, err } = await daybook(['serve'], data, { PORT: '99999', HOST: '0.0.0.0', DAYBOOK_X: '1' });
    expect(code).toBe(78);
    for (const name of ['PORT', 'DAYBOOK_X', 'DAYBOOK_WRITE_KEYS', 'DAYBOOK_READ_KEYS'])
      expect(err).toContain(name);
    expect(existsSync(data)).toBe(false);
  });
});

describe('an older Node', () => {
  const entries = ['main.js', 'cli/daybook.js'].map((name) => join(COMMAND, '../..', name));
  const run = (node: string, args: readonly string[]) =>
    new Promise<Ended>((done) => {
      execFile(node, args, { env: { DAYBOOK_DATA_DIR: data, PORT: '0' } }, (error, out, err) =>
        done({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });
  const older = (process.env['PATH'] ?? '')
    .split(':')
    .map((directory) => join(directory, 'node'))
    .find(
      (node) =>
        existsSync(node) && Number(execFileSync(node, ['-p', 'parseInt(process.versions.node)'])) < 26,
    );

  it.each(entries)('regression: that says it is one is told so by %s', async (entry) => {
    const versions = '{value:{...process.versions,node:"20.19.0"}}';
    const before = `data:text/javascript,Object.defineProperty(process,"versions",${versions})`;
    const { code, out, err } = await run(process.execPath, ['--import', before, entry, '--version']);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^daybook: needs Node 26 or newer, and this is 20\.19\.0\b.*\n$/);
  });

  it.skipIf(older === undefined).each(entries)('regression: on PATH is told so by %s', async (entry) => {
    const { code, err } = await run(older!, [entry]);
    expect(code).toBe(1);
    expect(err).toMatch(/^daybook: needs Node 26 or newer, and this is \d+\.\d+\.\d+\b.*\n$/);
  });
});

describe('a start that cannot be', () => {
  /** The one line that is printed, and the code; the command must end by itself. */
  async function start(env: Record<string, string>, directory = data): Promise<readonly [number, string]> {
    const { code, err } = await daybook(['serve'], directory, { PORT: '0', ...env });
    expect(err.trimEnd().split('\n'), err).toHaveLength(1);
    return [code, err];
  }

  it('regression: on a port that is taken says so, and leaves nothing open', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const [code, err] = await start({ PORT: String(port) });
    expect([code, err]).toEqual([1, expect.stringContaining(`port ${port} of 127.0.0.1 is in use already`)]);
    taken.close();
    expect(readdirSync(data)).not.toContain('control.sock');
  });

  it.each([
    ['192.0.2.1', 'is no address of this machine'],
    ['nowhere.invalid', 'is a name without an address'],
  ])('regression: on the host %s says what is wrong with it', async (host, text) => {
    const key = 'k'.repeat(16);
    const [code, err] = await start({ HOST: host, DAYBOOK_WRITE_KEYS: key, DAYBOOK_READ_KEYS: key });
    expect([code, err]).toEqual([78, expect.stringContaining(`HOST: ${host} ${text}`)]);
  });

  it('regression: in a file, or below one, says so', async () => {
    const file = write('file', '');
    for (const [path, text] of [
      [file, 'is a file'],
      [join(file, 'data'), 'a part of the path is a file'],
    ] as const) {
      const [code, err] = await start({}, path);
      expect([code, err]).toEqual([78, expect.stringContaining(`DAYBOOK_DATA_DIR: ${path} `)]);
      expect(err).toContain(text);
    }
  });

  it.skipIf(!existsSync('/proc/self'))('regression: below /proc ends, and says why', async () => {
    for (const path of ['/proc/daybook', '/proc/self/daybook/data', '/proc']) {
      const [code, err] = await start({}, path);
      expect([code, err]).toEqual([78, expect.stringContaining(`DAYBOOK_DATA_DIR: ${path} cannot be`)]);
    }
  });

  it('regression: in a directory of somebody else says that the right is missing', async () => {
    chmodSync(root, 0o555);
    const { code, err } =
      process.getuid!() === 0 ? await asNobody(['serve']) : await daybook(['serve'], data, { PORT: '0' });
    chmodSync(root, 0o700);
    expect([code, err]).toEqual([
      78,
      expect.stringContaining(`DAYBOOK_DATA_DIR: ${data} cannot be made: this user has no`),
    ]);
  });
});

describe('a command', () => {
  it('regression: on a file in place of the data directory says that there is none', async () => {
    const file = write('file', '');
    for (const words of [['export'], ['verify'], ['dead-letters']])
      expect(await daybook(words, file)).toMatchObject({
        code: 1,
        err: `daybook: there is no data directory ${file}\n`,
      });
  });

  it.skipIf(process.getuid!() !== 0)('regression: on the directory of another user says so', async () => {
    await daybook(['import', write('events.ndjson', ndjson(events(1)))]);
    chmodSync(root, 0o755);
    const { err } = await asNobody(['export']);
    expect(err).toBe(`daybook: ${data} belongs to another user: call the command as that one\n`);
  });
});

describe('files', () => {
  /** Path below the root → mode, of everything that is there. */
  const modes = (directory: string) =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => {
      const stat = statSync(join(directory, name));
      return [name, stat.isDirectory() ? 'directory' : 'file', (stat.mode & 0o777).toString(8)] as const;
    });
  const expectPrivate = (directory: string) => {
    expect((statSync(directory).mode & 0o777).toString(8)).toBe('700');
    const found = modes(directory);
    expect(found.length).toBeGreaterThan(1);
    for (const [name, kind, mode] of found) expect(mode, name).toBe(kind === 'directory' ? '700' : '600');
  };

  it.each(['main.js', 'daybook.js'])(
    'regression: of a server (%s) and its backup are for their owner alone',
    async (entry) => {
      if (entry === 'main.js') await startServer({ directory: data });
      else await daybook(['import', write('first.ndjson', ndjson(events(10)))]);
      await daybook(['import', write('events.ndjson', ndjson(events(200)))]);
      expectPrivate(data);
      const copy = join(root, 'copy');
      expect((await daybook(['backup', copy])).code).toBe(0);
      expectPrivate(copy);
      const fresh = join(root, 'fresh');
      expect((await daybook(['restore', copy], fresh)).code).toBe(0);
      expectPrivate(fresh);
    },
  );

  it.each(['ndjson', 'csv', 'parquet'])(
    'an export as %s has the mode that the user gives new files',
    async (format) => {
      await startServer({ directory: data });
      await daybook(['import', write('events.ndjson', ndjson(events(20)))]);
      const before = process.umask(0o027);
      const output = join(root, `out.${format}`);
      try {
        expect((await daybook(['export', '--format', format, '--output', output])).code).toBe(0);
        expect((statSync(output).mode & 0o777).toString(8)).toBe('640');
        chmodSync(output, 0o604);
        expect((await daybook(['export', '--format', format, '--output', output])).code).toBe(0);
        expect((statSync(output).mode & 0o777).toString(8)).toBe('604');
      } finally {
        process.umask(before);
      }
      expect((await daybook(['export', '--output', '/dev/null'])).code).toBe(0);
    },
  );
});

describe('a data directory that was there before', () => {
  it.each([
    [0o700, undefined],
    [0o2770, undefined],
    [0o750, 'its group'],
    [0o755, 'other users'],
    [0o2777, 'other users'],
  ])('regression: of mode %o is told of where it lets others in, and served', async (mode, who) => {
    mkdirSync(data);
    chmodSync(data, mode);
    const server = await startServer({ directory: data });
    const { code, out } = await daybook(['doctor']);
    expect(code, out).toBe(0);
    const told = `${data} lets ${who} in (mode ${mode.toString(8)})`;
    const command = `chmod 700 '${data}'`;
    if (who === undefined) {
      expect(out + server.log()).not.toMatch(/lets|chmod|^!/m);
      return;
    }
    expect(out).toContain(`! ${told}\n  → ${command}\n`);
    expect(server.log()).toContain(told);
    expect(server.log()).toContain(command);
  });
});

describe('demo', () => {
  it('serves events of so many days from a directory that is gone afterwards', async () => {
    const child = execFile(process.execPath, [COMMAND, 'demo', '--days', '10', '--events', '500'], {
      env: { PATH: process.env['PATH'], PORT: '0', TMPDIR: root },
    });
    let out = '';
    await new Promise<void>((done) => {
      child.stdout!.on('data', (chunk: string) => {
        out += chunk;
        if (out.includes('Read the days')) done();
      });
    });
    const url = /listens on (\S+)/.exec(out)![1]!;
    // The last day is today, which has no events yet at its beginning.
    expect(Number(/(\d+) events over 10 days/.exec(out)?.[1])).toBeGreaterThan(350);
    expect(readdirSync(root)).toHaveLength(1);
    let days: unknown[] = [];
    for (let tries = 0; tries < 500 && days.length < 9; tries += 1) {
      const report = (await (await fetch(`${url}/analytics/daily`)).json()) as { daily_stats: unknown[] };
      days = report.daily_stats;
    }
    expect(days.length).toBeGreaterThanOrEqual(9);
    child.kill('SIGTERM');
    await new Promise((done) => child.once('exit', done));
    expect(readdirSync(root)).toEqual([]);
  });
});

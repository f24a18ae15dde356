import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/* The rules that matter, checked on the repository itself. */

const ROOT = resolve(import.meta.dirname, '../..');
const SRC = join(ROOT, 'server/src');

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)));

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const sources = files.filter((file) => /^server\/src\/.*\.ts$/.test(file));
const product = sources.filter((file) => !/\.spec\.ts$|\/conformance\.ts$/.test(file));

/** What a source file imports, as written. */
function importsOf(file: string): string[] {
  const pattern =
    /(?:^|\n)(?:import|export)\s[^;'"]*?\bfrom\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import ['"]([^'"]+)['"]/g;
  return [...read(file).matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** A source file without its comments. */
function codeOf(file: string): string {
  return read(file).replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '');
}

/** The room of a file under server/src: its first folder, or its own name at the top. */
function roomOf(path: string): string {
  return relative(SRC, path).split('/')[0]!;
}

const OPEN = ['http', 'telemetry', 'access', 'config.ts'];
const DOMAIN = ['event', ...OPEN];
/** Room → rooms that it may import from, besides itself. */
const ALLOWED: Record<string, readonly string[]> = {
  event: [],
  transport: ['event', 'google.ts'],
  warehouse: ['event', 'google.ts'],
  ingest: [...DOMAIN, 'transport'],
  delivery: [...DOMAIN, 'transport', 'warehouse'],
  reports: [...DOMAIN, 'warehouse'],
  http: ['event', 'config-values.ts'],
  telemetry: ['event', 'access', 'delivery', 'http', 'transport'],
  access: ['event', 'http'],
  control: ['event'],
  'google.ts': [],
  'node-version.ts': [],
  'printable.ts': [],
  'drivers.ts': ['config.ts', 'warehouse'],
  'config.ts': ['config-values.ts', 'exposure.ts', 'mode.ts'],
  'exposure.ts': [],
  'mode.ts': [],
  'env-file.ts': ['config.ts'],
  'credentials.ts': ['config.ts', 'event'],
  'config-values.ts': [],
  'greeting.ts': ['access', 'config.ts', 'event'],
};
const TOP = ['parts.ts', 'app.module.ts', 'app.ts', 'listen-error.ts', 'serve.ts', 'main.ts', 'cli'];

/** Imports of types alone, and of tokens, do not tie rooms at run time. */
function runtimeImports(file: string): string[] {
  const text = read(file).replace(/(?:^|\n)import type [^;]*;/g, '\n');
  return [...text.matchAll(/(?:from|import\()\s*['"](\.[^'"]+)['"]/g)].map((match) => match[1]!);
}

describe('the repository', () => {
  it.each(product.filter((file) => !TOP.includes(roomOf(join(ROOT, file)))))(
    '%s imports only what lies before it',
    (file) => {
      const room = roomOf(join(ROOT, file));
      const allowed = ALLOWED[room];
      expect(allowed, `${room} is not a known room: add it to ARCHITECTURE.md and here`).toBeDefined();
      const rooms = runtimeImports(file).map((path) => roomOf(resolve(ROOT, dirname(file), path)));
      const wrong = rooms.filter((other) => other !== room && !allowed!.includes(other));
      expect(wrong).toEqual([]);
    },
  );

  it('loads nothing before the version of Node is checked', () => {
    for (const entry of ['server/src/main.ts', 'server/src/cli/daybook.ts']) {
      const linked = [...read(entry).matchAll(/(?:^|\n)import [^(][^;]*from '([^']+)'/g)].map(
        (match) => match[1]!,
      );
      expect(
        linked.map((path) => roomOf(resolve(ROOT, dirname(entry), path))),
        entry,
      ).toEqual(['node-version.ts']);
    }
  });

  it('keeps Nest to its own files', () => {
    const allowed = /\.(module|controller|guard|filter|interceptor)\.ts$|\/app\.ts$/;
    const wrong = product.filter(
      (file) => !allowed.test(file) && importsOf(file).some((name) => name.startsWith('@nestjs/')),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps each SDK inside its driver', () => {
    const homes: Record<string, string> = {
      '@duckdb/node-api': 'server/src/warehouse/duckdb/',
    };
    for (const [name, home] of Object.entries(homes)) {
      const users = product.filter((file) => importsOf(file).includes(name));
      expect(users.length, name).toBeGreaterThan(0);
      expect(
        users.filter((file) => !file.startsWith(home)),
        name,
      ).toEqual([]);
    }
  });

  it("loads Google's clients in their drivers alone, and never by an import", () => {
    const users = product.filter((file) => /loadGoogleClient\(/.test(read(file)));
    expect(users.toSorted()).toEqual([
      'server/src/google.ts',
      'server/src/transport/pubsub/client.ts',
      'server/src/warehouse/bigquery/client.ts',
    ]);
    expect(
      product.filter((file) => importsOf(file).some((name) => name.startsWith('@google-cloud/'))),
    ).toEqual([]);
  });

  it('reads the environment in config.ts only', () => {
    const wrong = product.filter(
      (file) => /process\.env/.test(read(file)) && !/\/(config|serve)\.ts$|\/cli\//.test(file),
    );
    expect(wrong).toEqual([]);
  });

  it("gives JSON that others wrote to V8's parser in strict-json.ts alone, which knows what V8 misreads", () => {
    const users = product.filter((file) => /\bJSON\s*\.\s*parse\b|\.json\(\)/.test(codeOf(file)));
    // The others read a package.json of our own.
    expect(users.toSorted()).toEqual([
      'server/src/event/strict-json.ts',
      'server/src/http/version.ts',
      'server/src/node-version.ts',
    ]);
  });

  it('has no barrels and no rooms without a name', () => {
    expect(files.filter((file) => /(^|\/)index\.ts$/.test(file))).toEqual([]);
    expect(files.filter((file) => /(^|\/)(utils?|common|shared|helpers?)(\/|\.ts$)/.test(file))).toEqual([]);
  });

  it('keeps files small', () => {
    const lines = product.map((file) => [file, read(file).split('\n').length] as const);
    expect(lines.filter(([, count]) => count > 400)).toEqual([]);
    expect(lines.filter(([, count]) => count > 250).length).toBeLessThanOrEqual(lines.length / 10);
  });

  const manifests = files.filter((file) => /(^|\/)package\.json$/.test(file));
  const dependenciesOf = (file: string): Record<string, string> => {
    const manifest = JSON.parse(read(file)) as Record<string, Record<string, string>>;
    return {
      ...manifest['dependencies'],
      ...manifest['optionalDependencies'],
      ...manifest['devDependencies'],
    };
  };
  /** Installed apart, only where they are needed: the tools of some tests. */
  const apart = manifests
    .filter((file) => file.split('/').length > 2)
    .flatMap((file) => Object.keys(dependenciesOf(file)));

  it('uses every dependency that it names, and names every one that it uses', () => {
    for (const workspace of ['server', 'bench']) {
      const named = Object.keys(dependenciesOf(`${workspace}/package.json`));
      const root = Object.keys(
        (JSON.parse(read('package.json')) as { devDependencies: object }).devDependencies,
      );
      const inside = files.filter((file) => file.startsWith(`${workspace}/`) && /\.[mc]?ts$/.test(file));
      const used = new Set(
        inside
          .flatMap(importsOf)
          .filter((name) => !/^(\.|\/|node:)/.test(name))
          .map((name) =>
            name
              .split('/')
              .slice(0, name.startsWith('@') ? 2 : 1)
              .join('/'),
          ),
      );
      // Nest loads rxjs by itself and lists it as a peer.
      for (const name of named.filter((dependency) => dependency !== 'rxjs'))
        expect([...used], `${workspace} names ${name}`).toContain(name);
      const server = Object.keys(
        (JSON.parse(read('server/package.json')) as { dependencies: object }).dependencies,
      );
      const known = [
        ...named,
        ...root,
        ...apart,
        ...builtinModules,
        ...(workspace === 'bench' ? server : []),
      ];
      for (const name of used) expect(known, `${workspace} uses ${name}`).toContain(name);
    }
  });

  it('says in docs/dependencies.md why each dependency is there', () => {
    const text = read('docs/dependencies.md');
    for (const file of manifests) {
      for (const name of Object.keys(dependenciesOf(file)))
        expect(text, `${file}: ${name}`).toContain(`\`${name}\``);
    }
  });

  it('regression: npm leaves no optional package out because of the Node that it runs on itself', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { optional?: true; engines?: { node?: string } }>;
    };
    const wrong = Object.entries(packages).filter(([, { optional, engines }]) => optional && engines?.node);
    expect(
      wrong.map(([name]) => name),
      'run "npm run lock"',
    ).toEqual([]);
    expect(packages['node_modules/@google-cloud/pubsub']?.optional).toBe(true);
  });

  it('pins every version', () => {
    for (const file of manifests) {
      for (const [name, version] of Object.entries(dependenciesOf(file))) {
        expect(version, `${file}: ${name}`).toMatch(/^\d+\.\d+\.\d+/);
      }
    }
  });

  it('names every room in ARCHITECTURE.md', () => {
    const text = read('ARCHITECTURE.md');
    const rooms = new Set(
      product.map((file) => roomOf(join(ROOT, file))).filter((room) => !room.includes('.')),
    );
    for (const room of rooms) expect(text).toContain(`\`${room}/\``);
    expect(text.split('\n').length).toBeLessThanOrEqual(250);
  });

  it('has every file that the documents point to', () => {
    for (const file of files.filter((name) => name.endsWith('.md'))) {
      const links = [...read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(
        (match) => match[1]!,
      );
      for (const link of links)
        expect(existsSync(resolve(ROOT, dirname(file), link)), `${file} → ${link}`).toBe(true);
    }
    for (const [, name] of read('ARCHITECTURE.md').matchAll(
      /`(?:test\/)?((?:faults\/|e2e\/)?[a-z-]+\.test\.ts)`/g,
    )) {
      expect(
        files.some((file) => file.endsWith(`/${name}`)),
        `ARCHITECTURE.md → ${name}`,
      ).toBe(true);
    }
  });

  it('exports nothing that no other file uses', () => {
    const texts = new Map(files.filter((file) => /\.[mc]?ts$/.test(file)).map((file) => [file, read(file)]));
    const unused = product.flatMap((file) => {
      const names = [...read(file).matchAll(/\nexport (?:async )?(?:const|function|class) (\w+)/g)].map(
        (match) => match[1]!,
      );
      return names
        .filter((name) => {
          const word = new RegExp(`\\b${name}\\b`);
          return ![...texts].some(([other, text]) => other !== file && word.test(text));
        })
        .map((name) => `${file}: ${name}`);
    });
    expect(unused).toEqual([]);
  });
});

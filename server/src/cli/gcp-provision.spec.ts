import { expect, it } from 'vitest';
import { applyAll } from './gcp-provision.ts';

it('applyAll() goes on without what is optional, tells why, and tries nothing else of its kind', async () => {
  const done: string[] = [];
  const step = (what: string, fails?: string, optional?: string) => ({
    what,
    ...(optional === undefined ? {} : { optional }),
    apply: () => (fails === undefined ? Promise.resolve() : Promise.reject(new Error(fails))),
  });
  const told = ({ what }: { what: string }) => done.push(what);
  const steps = [
    step('table'),
    step('right', 'no such account', 'reports read the views'),
    step('schedule', undefined, 'reports read the views'),
    step('topic'),
  ];
  expect(await applyAll(steps, told, 1)).toEqual(['right: no such account; reports read the views']);
  expect(done).toEqual(['table', 'topic']);
  await expect(applyAll([step('table', 'quota')], told, 1)).rejects.toThrow('table: quota');
});

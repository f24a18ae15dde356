import { expect, it } from 'vitest';
import type { BigqueryClient } from './client.ts';
import { EVENT_COLUMNS } from './columns.ts';
import { TableFields } from './table-fields.ts';

const PLACE = { projectId: 'acme-web', dataset: 'web', table: 'events' };
const ALL = EVENT_COLUMNS.map(({ name }) => name);

function table(columns: string[] | Error) {
  let nowMs = 0;
  const state = { columns };
  const getMetadata = () =>
    state.columns instanceof Error
      ? Promise.reject(state.columns)
      : Promise.resolve([{ schema: { fields: state.columns.map((name) => ({ name })) } }]);
  const client = { dataset: () => ({ table: () => ({ getMetadata }) }) } as unknown as BigqueryClient;
  const fields = new TableFields({ place: PLACE, makeClient: () => client, nowMs: () => nowMs });
  return { fields, state, pass: (minutes: number) => (nowMs += minutes * 60_000) };
}

it('row 3: leaves a field out until its column has been there for minutes', async () => {
  const { fields, state, pass } = table(ALL.filter((name) => name !== 'properties' && name !== 'city'));
  await fields.open();
  expect([...fields.omitted]).toEqual(['city', 'properties']);
  state.columns = ALL.filter((name) => name !== 'city');
  expect(await fields.look()).toBe(false);
  pass(9);
  await fields.look();
  expect([...fields.omitted]).toEqual(['city', 'properties']);
  pass(1);
  await fields.look();
  expect([...fields.omitted]).toEqual(['city']);
  state.columns = ALL;
  await fields.look();
  pass(10);
  expect(await fields.look()).toBe(true);
  expect(fields.omitted.size).toBe(0);
  fields.close();
});

it('row 3: leaves nothing out of a table that is whole, or that cannot be looked at', async () => {
  const whole = table(ALL.map((name) => name.toUpperCase()));
  await whole.fields.open();
  expect(whole.fields.omitted.size).toBe(0);
  for (const code of [403, 404, 500]) {
    const unseen = table(Object.assign(new Error('no'), { code }));
    await unseen.fields.open();
    expect(unseen.fields.omitted.size).toBe(0);
    unseen.fields.close();
  }
});

it('row 3: begins to count anew for a column that went away again', async () => {
  const { fields, state, pass } = table(ALL.filter((name) => name !== 'city'));
  await fields.open();
  for (const columns of [ALL, ALL.filter((name) => name !== 'city'), ALL]) {
    state.columns = columns;
    await fields.look();
    pass(9);
  }
  await fields.look();
  expect([...fields.omitted]).toEqual(['city']);
  fields.close();
});

import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { checkEvent, type TimeWindow } from '../event/check.ts';
import type { Event, Fault } from '../event/event.ts';
import { EVENT_SCHEMA } from '../event/schema.ts';
import { FAULTS_MAX } from '../http/problems.ts';

const matches = new Ajv2020({ strict: true, allErrors: true }).compile<Event>(EVENT_SCHEMA);

/** Either the event, or what is wrong with it. */
export type Checked = { readonly event: Event } | { readonly faults: readonly Fault[] };

/**
 * Checks one parsed JSON value as an event: first the schema, then the rules that it cannot say.
 * `escaped` as in `checkEvent`.
 */
export function validate(value: unknown, window: TimeWindow, escaped: boolean): Checked {
  if (!matches(value)) return { faults: schemaFaults(matches.errors ?? []) };
  const faults = checkEvent(value, window, escaped);
  return faults.length === 0 ? { event: value } : { faults: faults.slice(0, FAULTS_MAX) };
}

/** True when strings of a JSON text may be other than they stand in it: NUL, lone surrogates, line breaks, quotes. */
export function hasEscapes(json: string): boolean {
  return json.includes('\\');
}

function schemaFaults(errors: readonly ErrorObject[]): Fault[] {
  return errors.slice(0, FAULTS_MAX).map((error) => schemaFault(error));
}

function schemaFault({ keyword, instancePath, params, message }: ErrorObject): Fault {
  const of = params as Record<string, unknown>;
  switch (keyword) {
    case 'required':
      return { pointer: `/${String(of['missingProperty'])}`, detail: 'is required' };
    case 'additionalProperties': {
      const allowed = Object.keys(EVENT_SCHEMA.properties).join(', ');
      const name = String(of['additionalProperty']).slice(0, 100).toWellFormed();
      return { pointer: `/${pointerPart(name)}`, detail: `is not a field of an event; allowed: ${allowed}` };
    }
    case 'const':
      return { pointer: instancePath, detail: `must be ${JSON.stringify(of['allowedValue'])}` };
    case 'minLength':
      return { pointer: instancePath, detail: 'must not be empty' };
    case 'maxLength':
      return { pointer: instancePath, detail: `must be at most ${String(of['limit'])} characters` };
    case 'type':
      return { pointer: instancePath, detail: typeDetail(instancePath, String(of['type'])) };
    default:
      return { pointer: instancePath, detail: message ?? keyword };
  }
}

function typeDetail(pointer: string, type: string): string {
  if (pointer === '') return 'an event must be a JSON object';
  return `must be ${type === 'object' ? 'an' : 'a'} ${type}`;
}

function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { checkEvent, PROPERTIES_FAULTS, type TimeWindow } from '../event/check.ts';
import type { Event, Fault } from '../event/event.ts';
import { OPEN_OBJECT } from '../event/json-bytes.ts';
import { EVENT_BYTES_MAX, EVENT_LIMITS, SCAN_LIMITS } from '../event/limits.ts';
import type { Outline } from '../event/outline.ts';
import { EVENT_SCHEMA } from '../event/schema.ts';
import { parseJsonString } from '../event/strict-json.ts';
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

/** What is wrong with an event that is refused before it is parsed. The name of its field must be JSON. */
export function excessFault(bytes: Buffer, outline: Outline): Fault {
  const { from, end, excess, excessDepth, fieldFrom, fieldEnd, fieldKeys } = outline;
  if (excess === 'bytes') return { pointer: '', detail: `${TOO_LARGE}, is ${end - from}` };
  if (bytes[from] !== OPEN_OBJECT) return { pointer: '', detail: typeDetail('', 'object') };
  if (excess === 'keys' && excessDepth === 1) return { pointer: '', detail: TOO_MANY_KEYS };
  const name = parseJsonString(bytes.toString('utf8', fieldFrom - 1, fieldEnd + 1));
  const rule = RULES.get(name);
  if (rule === undefined) return unknownField(name);
  if (name !== 'properties') return { pointer: `/${name}`, detail: rule };
  // Where other fields had most of the keys, properties alone are not to blame.
  if (excess === 'keys' && fieldKeys <= EVENT_LIMITS.propertiesKeysMax)
    return { pointer: '', detail: TOO_MANY_KEYS };
  return { pointer: '/properties', detail: PROPERTIES_FAULTS[excess!] };
}

const TOO_MANY_KEYS = `must have at most ${SCAN_LIMITS.keysMax} keys over all levels`;
const TOO_LARGE = `an event must be at most ${EVENT_BYTES_MAX} bytes as JSON`;
const ALLOWED = Object.keys(EVENT_SCHEMA.properties).join(', ');
/** Field → what is said where its value has another type. */
const RULES: ReadonlyMap<string, string> = new Map(
  Object.entries(EVENT_SCHEMA.properties).map(([name, rule]) => [
    name,
    'type' in rule ? typeDetail(`/${name}`, rule.type) : constDetail(rule.const),
  ]),
);

function schemaFaults(errors: readonly ErrorObject[]): Fault[] {
  return errors.slice(0, FAULTS_MAX).map((error) => schemaFault(error));
}

function schemaFault({ keyword, instancePath, params, message }: ErrorObject): Fault {
  const of = params as Record<string, unknown>;
  switch (keyword) {
    case 'required':
      return { pointer: `/${String(of['missingProperty'])}`, detail: 'is required' };
    case 'additionalProperties':
      return unknownField(String(of['additionalProperty']));
    case 'const':
      return { pointer: instancePath, detail: constDetail(of['allowedValue']) };
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

function unknownField(name: string): Fault {
  const pointer = `/${pointerPart(name.slice(0, 100).toWellFormed())}`;
  return { pointer, detail: `is not a field of an event; allowed: ${ALLOWED}` };
}

function constDetail(value: unknown): string {
  return `must be ${JSON.stringify(value)}`;
}

function typeDetail(pointer: string, type: string): string {
  if (pointer === '') return 'an event must be a JSON object';
  return `must be ${type === 'object' ? 'an' : 'a'} ${type}`;
}

function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

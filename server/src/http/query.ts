import type { z } from 'zod';
import { Problem } from './problems.ts';

/**
 * Query parameters → what the schema makes of them.
 * @throws Problem `invalid-query` with every fault
 */
export function checkQuery<T extends z.ZodType>(schema: T, query: unknown): z.output<T> {
  const parsed = schema.safeParse(query);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ pointer: `/${key}`, detail: 'is not a parameter of this route' }))
      : [{ pointer: issue.path.map((part) => `/${String(part)}`).join(''), detail: issue.message }],
  );
  const first = faults[0];
  throw new Problem('invalid-query', `${first?.pointer.slice(1) ?? ''}: ${first?.detail ?? ''}`, { faults });
}

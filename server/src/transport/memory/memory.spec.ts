import { CONFORMANCE_LIMITS, describeTransport } from '../conformance.ts';
import { MemoryTransport } from './memory.ts';

describeTransport('memory', () => ({
  durable: false,
  make: () => {
    const transport = new MemoryTransport(CONFORMANCE_LIMITS);
    return { publisher: transport, source: transport };
  },
  cleanUp: () => Promise.resolve(),
}));

import { type Config, ConfigError } from './config.ts';

/** Why the server could not listen → what to tell the operator; what we do not know is told as it came. */
export function listenError(error: unknown, { host, port }: Pick<Config, 'host' | 'port'>): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new Error(
        `port ${port} of ${host} is in use already: stop what listens there, or set PORT to another`,
        { cause: error },
      );
    case 'EACCES':
      return new ConfigError([`PORT: this user may not listen on port ${port}; take one from 1024 on`]);
    case 'EADDRNOTAVAIL':
      return new ConfigError([`HOST: ${host} is no address of this machine; 0.0.0.0 is all of them`]);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConfigError([
        `HOST: ${host} is a name without an address; write an address, e.g. 127.0.0.1`,
      ]);
    default:
      return error;
  }
}

import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the range that systems give to outgoing connections (from 32768 on Linux, from 49152 elsewhere): otherwise a
// connection could take the port of a process that is just being restarted.
const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
const ATTEMPTS_MAX = 200;
/** Each process looks in a place of its own: of two platforms that start at once neither listens yet when the other one looks. */
const OWN_PORTS = 64;

let next = process.pid * OWN_PORTS;

/** A port that nobody listens on, and that this process has not given away before. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port = PORT_MIN + (next++ % (PORT_MAX - PORT_MIN));
    if (await isFree(port, host)) return port;
  }
  throw new Error(`no free port between ${PORT_MIN} and ${PORT_MAX}`);
}

/** Whether a server could listen there now. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return (await listenFailure(port, host)) === undefined;
}

/** The system's word for why no server could listen there now: EADDRINUSE, EACCES, EADDRNOTAVAIL… */
export async function listenFailure(port: number, host: string): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return undefined;
  } catch (failure) {
    return failure instanceof Error && 'code' in failure ? String(failure.code) : String(failure);
  } finally {
    server.close();
  }
}

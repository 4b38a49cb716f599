/** Passwords: how they are kept, and how many are worked on at once. A hash takes 19 MiB and some tens of milliseconds of a core. */
import { randomBytes } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { hash, verify } from '@node-rs/argon2';
import { Batcher } from '#lib/batcher';

/** Argon2id, which is the package's default: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const HASHES_IN_FLIGHT_MAX = 2;
/** A lecture hall that logs in at once fits in. */
const HASHES_WAITING_MAX = 600;

interface Job {
  work: () => Promise<string | boolean>;
  signal: AbortSignal;
}

export class Passwords {
  readonly #unknownAccountHash: string;
  readonly #jobs: Batcher<Job, string | boolean>;

  /** @param unknownAccountHash of a password that nobody has. */
  constructor(unknownAccountHash: string, waitingMax = HASHES_WAITING_MAX) {
    this.#unknownAccountHash = unknownAccountHash;
    this.#jobs = new Batcher({
      batchMax: 1,
      inFlightMax: HASHES_IN_FLIGHT_MAX,
      queueMax: waitingMax,
      run: (jobs) => Promise.all(jobs.map(run)),
    });
  }

  get waiting(): number {
    return this.#jobs.waiting;
  }

  /** @throws QueueFull when too many wait. */
  async hash(password: string, signal: AbortSignal): Promise<string> {
    return String(await this.#jobs.submit({ work: () => hash(normal(password), ARGON2), signal }));
  }

  /**
   * True if the password is the one that was hashed. Without a hash the answer is false, and takes as long: who asks does not learn
   * which e-mails have an account.
   * @throws QueueFull when too many wait.
   */
  async verify(passwordHash: string | undefined, password: string, signal: AbortSignal): Promise<boolean> {
    const compared = passwordHash ?? this.#unknownAccountHash;
    const isEqual = await this.#jobs.submit({ work: () => verify(compared, normal(password)), signal });
    return isEqual === true && passwordHash !== undefined;
  }
}

/** @param waitingMax how many may wait before further ones are turned away. */
export async function openPasswords(waitingMax?: number): Promise<Passwords> {
  return new Passwords(await hash(randomBytes(16), ARGON2), waitingMax);
}

/** Who asked may have gone while the job waited; the core is for those who still wait. */
async function run({ work, signal }: Job): Promise<string | boolean | Error> {
  if (signal.aborted) return new ConnectError('the caller is gone', Code.Canceled);
  return work();
}

/** The same letters give the same bytes, whatever keyboard they came from: NIST SP 800-63B, 5.1.1.2. */
function normal(password: string): string {
  return password.normalize('NFKC');
}

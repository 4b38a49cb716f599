/** Passwords: how they are kept, and how many are worked on at once. A hash takes 19 MiB and some tens of milliseconds of a core. */
import { randomBytes } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { hash, verify } from '@node-rs/argon2';
import { Batcher } from '#lib/batcher';
import { isPassword } from './account.ts';

/** Argon2id, which is the package's default: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const HASHES_IN_FLIGHT_MAX = 2;
/** A lecture hall that logs in at once fits in. */
const HASHES_WAITING_MAX = 600;

interface Job {
  work: () => Promise<unknown>;
  signal: AbortSignal;
}

export class Passwords {
  readonly #unknownAccountHash: string;
  readonly #jobs: Batcher<Job, unknown>;

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
  hash(password: string, signal: AbortSignal): Promise<string> {
    return this.#inTurn(() => hash(normal(password), ARGON2), signal);
  }

  /**
   * Answers the account that `find` finds if the password is its own, and null otherwise. Where there is no account it takes as long:
   * who asks does not learn which e-mails have one. The search waits for its turn too, so that a crowd costs the event loop little.
   * @throws QueueFull when too many wait.
   */
  async prove<Owner extends { passwordHash: string }>(
    find: () => Promise<Owner | null>,
    password: string,
    signal: AbortSignal,
  ): Promise<Owner | null> {
    // What nobody can have takes no turn, and none of its letters is looked at.
    if (!isPassword(password)) return null;
    return this.#inTurn(async () => {
      const owner = await find();
      const isEqual = await verify(owner?.passwordHash ?? this.#unknownAccountHash, normal(password));
      return isEqual ? owner : null;
    }, signal);
  }

  async #inTurn<Answer>(work: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
    return (await this.#jobs.submit({ work, signal })) as Answer; // of this very job
  }
}

/** @param waitingMax how many may wait before further ones are turned away. */
export async function openPasswords(waitingMax?: number): Promise<Passwords> {
  return new Passwords(await hash(randomBytes(16), ARGON2), waitingMax);
}

/** Who asked may have gone while the job waited; the core is for those who still wait. */
async function run({ work, signal }: Job): Promise<unknown> {
  if (signal.aborted) return new ConnectError('the caller is gone', Code.Canceled);
  return work();
}

/** The same letters give the same bytes, whatever keyboard they came from: NIST SP 800-63B, 5.1.1.2. */
function normal(password: string): string {
  return password.normalize('NFKC');
}

import { join } from 'node:path';
import { Option } from 'commander';

const checkout = join(import.meta.dirname, '..');

/** `--data <folder>`: says which platform a command means. */
export function dataOption(): Option {
  return new Option('--data <folder>', 'data folder of the platform').default(
    join(checkout, '.registrar'),
    '.registrar beside package.json',
  );
}

import { CreateTranscript20261121 } from './20261121-create-transcript.ts';

export const migrations = [CreateTranscript20261121];

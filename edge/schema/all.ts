import { catalogChangeSchemas } from './catalog-change.ts';
import { commonSchemas } from './elements.ts';
import { materialSchemas } from './material.ts';
import { meSchemas } from './me.ts';
import { registrationSchemas } from './registration.ts';
import { sagaSchemas } from './saga.ts';
import { sectionSchemas } from './section.ts';
import { sessionSchemas } from './session.ts';
import { systemSchemas } from './system.ts';

/** Every named component. */
export const allSchemas = [
  ...commonSchemas,
  ...sessionSchemas,
  ...sectionSchemas,
  ...catalogChangeSchemas,
  ...registrationSchemas,
  ...meSchemas,
  ...materialSchemas,
  ...sagaSchemas,
  ...systemSchemas,
];

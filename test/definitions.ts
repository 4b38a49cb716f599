import { type ServiceName, services } from '#lib/config';
import type { ServiceDefinition } from '#lib/service';

/** Every service of `services/`; whoever is followed comes before who follows. */
export const definitions: ReadonlyMap<ServiceName, ServiceDefinition> = new Map(
  await Promise.all(services.map(async (name) => [name, await definitionOf(name)] as const)),
);

async function definitionOf(name: ServiceName): Promise<ServiceDefinition> {
  const exported: Record<string, ServiceDefinition> = await import(`../services/${name}/${name}.ts`);
  const definition = exported[name];
  if (!definition) throw new Error(`services/${name}/${name}.ts does not export ${name}, the service's definition`);
  return definition;
}

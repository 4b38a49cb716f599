/** For tests: an instance of a service as a process of its own, to be killed. It answers its own address. */
import type { AddressInfo } from 'node:net';
import { fastifyConnectPlugin } from '@connectrpc/connect-fastify';
import { fastify } from 'fastify';
import { ServerService } from '#proto/server/v1/service';

const server = fastify({ http2: true, http2SessionTimeout: 0 });
let own = '';
await server.register(fastifyConnectPlugin, {
  routes: (router) => {
    router.service(ServerService, { listServers: () => ({ servers: [{ service: 'catalog', address: own }] }) });
  },
});
await server.listen({ host: '127.0.0.1', port: 0 });
const { address, port } = server.server.address() as AddressInfo; // it listens on TCP
own = `${address}:${port}`;
process.send?.(own);
// Whoever started it is gone.
process.once('disconnect', () => process.exit(0));

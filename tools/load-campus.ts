/** In containers: loads the demo campus once, as `npm start` does. */
import type { PeerName } from '#lib/config';
import { loadCampusOnce } from '../cli/campus/load.ts';
import { connect } from '../cli/connect.ts';

const [serviceKeyFile, ...peers] = process.argv.slice(2);
if (!serviceKeyFile) throw new Error('usage: node tools/load-campus.ts <service key file> <service>=<host:port>…');

const parts = peers.map((peer) => {
  const [name, address = ''] = peer.split('=');
  return { name: name as PeerName, number: 1, address, metricsUrl: '' }; // an unknown name is nobody's address
});
const clients = await connect({ serviceKeyFile, parts });
await loadCampusOnce(clients);
clients.close();

# One image for every process of ours: Node runs the TypeScript as it stands, docker-compose.yml says which entry.
FROM node:24.21.0-slim

WORKDIR /registrar
ENV NODE_ENV=production

# Not `npm ci`: a lockfile made on one platform cannot name every platform's optional packages.
COPY package.json package-lock.json ./
RUN npm install --omit=dev --no-audit --no-fund && npm cache clean --force

COPY gen/ gen/
COPY lib/ lib/
COPY services/ services/
COPY workflows/ workflows/
COPY views/ views/
COPY edge/ edge/
COPY local/ local/
COPY cli/ cli/
COPY tools/*.ts tools/

# A new volume takes over this folder's owner.
RUN install --directory --owner=node --group=node --mode=0700 /keys
USER node

# Instances of one service differ by their container's name, which others resolve.
ENTRYPOINT ["/bin/sh", "-c", "ADVERTISED_ADDRESS=$(hostname):$PORT exec node \"$@\"", "registrar"]

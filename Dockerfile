# One image for both modes: the embedded warehouse, and Pub/Sub with BigQuery.
#   docker build -t analytics-endpoint .
#   docker run -p 3000:3000 -v daybook:/data analytics-endpoint

# The tag says what the digest is; the digest is what is pulled. Dependabot moves both together.
FROM --platform=$BUILDPLATFORM node:26.10.0-trixie-slim@sha256:ec7758ee051e457b468b32bde57b0879010b325bb9862718e9615225ce4aaae1 AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY server/package.json server/
COPY scripts/duckdb-binding.mjs scripts/
RUN npm ci --workspace server --include-workspace-root --no-audit --no-fund
COPY tsconfig.base.json ./
COPY server/tsconfig.json server/tsconfig.build.json server/
COPY server/src server/src
RUN npm run build

# On the platform that the image is for: the journal and the warehouse bring native code.
FROM node:26.10.0-trixie-slim@sha256:ec7758ee051e457b468b32bde57b0879010b325bb9862718e9615225ce4aaae1 AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY server/package.json server/
COPY scripts/duckdb-binding.mjs scripts/
RUN npm ci --omit=dev --workspace server --no-audit --no-fund && mkdir /data

FROM node:26.10.0-trixie-slim@sha256:ec7758ee051e457b468b32bde57b0879010b325bb9862718e9615225ce4aaae1
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=
LABEL org.opencontainers.image.title="Daybook" \
      org.opencontainers.image.description="Event analytics that a team runs itself" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="docker.io/library/node:26.10.0-trixie-slim"
# HOST makes the server ask for keys: DAYBOOK_WRITE_KEYS and DAYBOOK_READ_KEYS come from outside. Where they do not, the embedded
# mode makes them at the first start and prints them once.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DAYBOOK_DATA_DIR=/data \
    DAYBOOK_MAKE_KEYS=on
WORKDIR /app
COPY LICENSE package.json ./
COPY server/package.json server/
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/server/dist server/dist
# The root file system can be read-only: everything is written to /data and /tmp.
COPY --from=dependencies --chown=10001:10001 /data /data
USER 10001:10001
VOLUME ["/data"]
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT []
CMD ["node", "server/dist/main.js"]

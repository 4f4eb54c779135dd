# One image for every role: the command is the role (`serve`, `api`, `worker`, `callbacks`, `migrate`, `sandbox`).
# docker build -t dailies .            with posters: docker build --build-arg WITH_FFMPEG=1 -t dailies .
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# Everything that a build needs, and what it makes.
FROM ${NODE_IMAGE} AS build
WORKDIR /source
COPY package.json package-lock.json ./
COPY packages/server/package.json packages/server/package.json
COPY packages/sandbox/package.json packages/sandbox/package.json
COPY packages/sdk/package.json packages/sdk/package.json
COPY packages/cli/package.json packages/cli/package.json
RUN ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
COPY tsconfig.json tsconfig.build.json LICENSE ./
COPY scripts scripts
COPY packages packages
RUN ["npm", "run", "build"]

# Only what runs. Nothing here is compiled, so no install script has to run.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /source
COPY package.json package-lock.json ./
COPY packages/server/package.json packages/server/package.json
COPY packages/sandbox/package.json packages/sandbox/package.json
COPY packages/sdk/package.json packages/sdk/package.json
COPY packages/cli/package.json packages/cli/package.json
RUN ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]

FROM ${NODE_IMAGE} AS runtime
LABEL org.opencontainers.image.title="Dailies" \
      org.opencontainers.image.description="The production platform between your product and the Kling AI video API" \
      org.opencontainers.image.licenses="Apache-2.0"
# ffmpeg makes the posters; without it videos have none. It adds about half a gigabyte.
ARG WITH_FFMPEG=0
RUN if [ "$WITH_FFMPEG" = 1 ]; then \
      apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /app
COPY --from=dependencies /source/node_modules node_modules
COPY --from=build /source/packages/server/package.json packages/server/package.json
COPY --from=build /source/packages/server/dist packages/server/dist
COPY --from=build /source/packages/sandbox/package.json packages/sandbox/package.json
COPY --from=build /source/packages/sandbox/dist packages/sandbox/dist
COPY --from=build /source/packages/sdk/package.json packages/sdk/package.json
COPY --from=build /source/packages/sdk/dist packages/sdk/dist
COPY --from=build /source/packages/cli/package.json packages/cli/package.json
COPY --from=build /source/packages/cli/bin packages/cli/bin
COPY --from=build /source/packages/cli/dist packages/cli/dist
COPY LICENSE ./
# A new volume takes its owner from here. DATA_DIR itself is not set: a role that runs alone has to be told the shared folder or a bucket.
RUN ["install", "-d", "-o", "node", "-g", "node", "-m", "0700", "/data"]
ENV NODE_ENV=production HOST=0.0.0.0
USER node
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000 8001 9464
# Every role answers on METRICS_PORT; `docker run` without compose has only this. With another port, say so with --health-cmd.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Signals reach the program itself. Run it with an init (`docker run --init`, `init: true`): as process 1 it would not reap orphans of ffmpeg.
ENTRYPOINT ["node", "/app/packages/cli/bin/dailies.js"]
CMD ["serve"]

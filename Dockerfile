# straks in a container: one static binary, no shell, not root. "docker build -t straks ." or
# "podman build -t straks .". docs/sandbox.md and docs/operations.md say how to run it.
#
# The same sources and the same two images give the same binary. Both tags move with fixes of
# their systems; to repeat a build to the octet, give them by digest:
# --build-arg BASE_IMAGE=gcr.io/distroless/static-debian12@sha256:…
ARG GO_IMAGE=docker.io/library/golang:1.26-bookworm
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git: the version and the revision are stamped from it.
COPY . .
# Set by buildx and podman for other platforms than the builder's; empty means its own.
ARG TARGETOS
ARG TARGETARCH
ENV CGO_ENABLED=0 GOFLAGS=-trimpath GOTOOLCHAIN=local
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -o /out/usr/bin/straks ./cmd/straks \
    && mkdir -p /out/etc/straks/credentials /out/var/lib/straks /out/run/straks /out/tmp \
    && chmod 0700 /out/var/lib/straks && chmod 0750 /out/run/straks && chmod 1777 /out/tmp \
    && chown 65532:65532 /out/var/lib/straks /out/run/straks

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="straks" \
      org.opencontainers.image.description="Sends one SMS or one e-mail, at once" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /out /
# distroless' nonroot. The journal's volume must belong to it.
USER 65532:65532
VOLUME ["/var/lib/straks"]
# API, metrics; of the sandbox: API, inbox.
EXPOSE 8080 8081 9090
# The daemon answers on its admin socket. That a carrier is down is no reason to restart it: /readyz and
# "straks status -ready" tell that.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/bin/straks", "status", "-timeout", "3s"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/straks"]
CMD ["serve"]

# syntax=docker/dockerfile:1

# The image holds the static binary and nothing else: no shell, no CA
# certificates, no time zones. docs/operating.md says where the certificates for
# rediss:// and https:// come from.
#
#   docker build -t caregate .
#   docker run --rm caregate version

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
ENV CGO_ENABLED=0

# The modules come before the sources, so that an edit does not fetch them again.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download

# .git comes along: the Go tool takes the version and the commit from it.
COPY . .
ARG TARGETOS TARGETARCH
# grpcnotrace leaves out a debugging page of gRPC, and with it html/template,
# which makes the linker keep every method of every type: some 10 MB. nosqlite leaves out
# SQLite, another 4: a sidecar executes no SQL, and caregate policy verify is for where
# policies are edited.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -tags grpcnotrace,nosqlite -trimpath -ldflags "-s -w" -o /out/caregate ./cmd/caregate

FROM scratch
COPY --from=build /out/caregate /caregate
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# Decisions listen on loopback inside the pod unless --addr says otherwise;
# health and metrics are for the kubelet and Prometheus.
EXPOSE 8181 8282
ENTRYPOINT ["/caregate"]
CMD ["serve"]
# For Docker. Kubernetes ignores it and has the probes of deploy/sidecar.yaml.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --start-interval=1s --retries=3 CMD ["/caregate", "healthcheck"]

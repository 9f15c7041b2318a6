# The demo service: one static program, no shell, no root.
#     docker build -t otelnet-demo . && docker run --rm -p 127.0.0.1:8080:8080 otelnet-demo
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The staged tree gives the empty image a /tmp for captures and the authorities that an https endpoint is checked against.
RUN mkdir -p /rootfs/etc/ssl/certs && mkdir -m 1777 /rootfs/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ \
 && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /rootfs/demo-service ./cmd/demo-service

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
EXPOSE 8080
# There is no curl here: the program asks itself.
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/demo-service", "health", "http://127.0.0.1:8080/api/health"]
ENTRYPOINT ["/demo-service"]
CMD ["-addr", "0.0.0.0:8080"]

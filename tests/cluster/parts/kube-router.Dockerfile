# Build context: the folder with the compiled programs. The program lies where the published image has it.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ipset iptables \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/*
COPY kube-router /usr/local/bin/kube-router
LABEL org.opencontainers.image.title="kube-router" \
      org.opencontainers.image.description="Enforces NetworkPolicies in the tests' cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/local/bin/kube-router"]

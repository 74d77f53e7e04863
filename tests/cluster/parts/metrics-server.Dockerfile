# Build context: the folder with the compiled programs. The program lies where the published image has it.
FROM scratch
COPY metrics-server /metrics-server
LABEL org.opencontainers.image.title="metrics-server" \
      org.opencontainers.image.description="CPU and memory of pods for a HorizontalPodAutoscaler in the tests' cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65534:65534
ENTRYPOINT ["/metrics-server"]

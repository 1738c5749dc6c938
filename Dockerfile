# One image for every service: `docker run trailkeeper serve` is the whole trail embedded, `serve --only …` one part of it.
#
#   docker build -t trailkeeper:0.1.0 .
#   docker build --build-arg EXTRAS=aws -t trailkeeper:0.1.0 .     with boto3, for OpenSearch on AWS (SigV4)

FROM python:3.12.12-slim-trixie AS build
ARG EXTRAS=""
WORKDIR /src
# The environment holds the server and what it imports: pip stays outside.
RUN python -m venv --without-pip /opt/trailkeeper
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY audit/ audit/
COPY store/ store/
COPY ingest/ ingest/
COPY search_api/ search_api/
COPY index_templates/ index_templates/
COPY lifecycle/ lifecycle/
COPY cli/ cli/
# Wheels alone: a version that would have to be compiled here stops the build.
RUN pip --python /opt/trailkeeper install --no-cache-dir --disable-pip-version-check \
    --only-binary :all: --constraint constraints.txt ".${EXTRAS:+[${EXTRAS}]}"

FROM python:3.12.12-slim-trixie
LABEL org.opencontainers.image.title="Trailkeeper" \
      org.opencontainers.image.description="Self-hosted audit trail for organizations" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that whoever mounts a folder instead of a volume knows whom it must belong to.
RUN groupadd --gid 10001 trailkeeper \
 && useradd --uid 10001 --gid trailkeeper --no-create-home --home-dir /var/lib/trailkeeper --shell /usr/sbin/nologin \
    trailkeeper \
 && install --directory --owner trailkeeper --group trailkeeper --mode 0750 /var/lib/trailkeeper
COPY --from=build /opt/trailkeeper /opt/trailkeeper
# The root file system may be read-only: everything that is written lies in the volume, or in /tmp.
ENV PATH=/opt/trailkeeper/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TRAILKEEPER_HOST=0.0.0.0 \
    TRAILKEEPER_PORT=8321 \
    TRAILKEEPER_LOG_FORMAT=json \
    TRAILKEEPER_STORE_URL=sqlite:////var/lib/trailkeeper/trailkeeper.sqlite \
    TRAILKEEPER_SPOOL_PATH=/var/lib/trailkeeper/spool.sqlite
USER 10001:10001
WORKDIR /var/lib/trailkeeper
VOLUME /var/lib/trailkeeper
EXPOSE 8321
# Whether the process lives; /readyz says more, and answers 503 where a load balancer should go elsewhere.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen('http://127.0.0.1:' + os.environ['TRAILKEEPER_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["trailkeeper"]
CMD ["serve"]

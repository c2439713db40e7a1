# One image for everything of StimFleet: fleet service, web page, recorder, pager, provisioning, simulated agents.
# docker-compose.yml says which of them a container is. Built from the locks: nothing is resolved while it is built.
FROM python:3.13.7-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
# Neither environment has a pip of its own: the base image's installs into both.
RUN python -m venv --without-pip /opt/stimfleet
RUN python -m venv --without-pip /opt/build
# Neither a cache nor anything that a lock does not name, and nothing that would have to be compiled.
ENV PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1 PIP_REQUIRE_HASHES=1 PIP_ONLY_BINARY=:all:
RUN python -m pip --python /opt/stimfleet/bin/python install --no-compile -r requirements.lock
# What builds the package itself is locked too, and does not come along.
RUN awk '/^[^ #]/ { keep = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ } keep' \
    requirements-dev.lock > build.lock
RUN python -m pip --python /opt/build/bin/python install --no-compile -r build.lock
COPY pyproject.toml README.md LICENSE stimfleet.py ./
COPY broker broker
COPY agents agents
COPY fleet fleet
COPY dashboards dashboards
COPY demo demo
RUN /opt/build/bin/python -m hatchling build -t wheel -d /build/dist
RUN PIP_REQUIRE_HASHES=0 python -m pip --python /opt/stimfleet/bin/python \
    install --no-compile --no-index /build/dist/*.whl
RUN /opt/stimfleet/bin/python -m compileall -q /opt/stimfleet/lib

FROM python:3.13.7-slim-bookworm
# The number matters, not the name: other containers are let into its group to read what is theirs.
RUN groupadd --gid 10001 stimfleet \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin stimfleet
# A volume that is new takes owner and mode from here.
RUN install -d -o 10001 -g 10001 -m 0700 /site /site/broker /ca /data /floor \
    && install -d -o 10001 -g 10001 -m 0750 /secrets \
        /secrets/influxdb /secrets/history /secrets/samples /secrets/grafana
COPY --from=build /opt/stimfleet /opt/stimfleet
ENV PATH=/opt/stimfleet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STIMFLEET_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["stimfleet"]
CMD ["--help"]

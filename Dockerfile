# The first stage builds; the image has Python, the locked wheels and Lyceum, and runs as a user without rights.
FROM python:3.13-slim-trixie AS build
WORKDIR /build
COPY requirements requirements
ARG INSTALL="-m pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes"
RUN python -m venv /lyceum \
    && /lyceum/bin/python $INSTALL -r requirements/default.txt \
    && python -m venv /tools \
    && /tools/bin/python $INSTALL -r requirements/build.txt \
    && python -I requirements/gate.py /lyceum /tools
COPY . .
RUN /tools/bin/hatchling build -t wheel \
    && /lyceum/bin/python -m pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.13-slim-trixie
RUN useradd --create-home --uid 10001 lyceum && install -d -o lyceum /home/lyceum/state
COPY --from=build /lyceum /lyceum
USER 10001
WORKDIR /home/lyceum
ENV PATH=/lyceum/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The ledger, the router, the weights and the key: what must outlive the container.
VOLUME /home/lyceum/state
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["lyceum"]
CMD ["serve", "--host", "0.0.0.0"]

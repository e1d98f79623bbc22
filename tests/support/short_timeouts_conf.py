"""The production configuration of gunicorn, with time-outs that a test can wait for, and few connections."""

import os

from api import server
from api.gunicorn_conf import *  # noqa: F403

server.HEAD_TIMEOUT_S = 1
server.WRITE_TIMEOUT_S = 1
worker_connections = int(os.environ.get("TEST_CONNECTIONS", "2000"))

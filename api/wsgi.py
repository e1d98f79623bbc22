"""What the production server loads: gunicorn -c python:api.gunicorn_conf api.wsgi:app"""

from api.app import create_app
from shared.startup.checks import settings_or_exit

app = create_app(settings_or_exit(verifies_tokens=True))

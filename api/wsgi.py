"""What the production server loads: gunicorn -c python:api.gunicorn_conf api.wsgi:app"""

from api.app import create_app
from shared.settings import load_settings

app = create_app(load_settings())

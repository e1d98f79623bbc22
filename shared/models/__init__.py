"""The rows of every table, a file per aggregate. Migrations create the tables; a test compares the two."""

from shared.models.actions import Action
from shared.models.base import Base, Views
from shared.models.catalog import Brand, CatalogModel
from shared.models.chargers import Charger, ChargerCount, ChargerLabel, ChargerSearch, RemovedCharger
from shared.models.commands import Command
from shared.models.control import ChargerMemory, ChargerReport, ControlLink, ControlSession, ShownReport
from shared.models.events import ChargerEvent
from shared.models.hosts import Host, HostCharger
from shared.models.idempotency import IdempotencyKey
from shared.models.installation import Installation
from shared.models.jobs import Job, JobItem
from shared.models.links import ChargerLink, LoggedLink, ShownLink
from shared.models.locations import Location
from shared.models.logs import ChargerLog, ChargerLogLine, LogCursor, LogCut, LogNumber, LogVolume
from shared.models.maintenance import MaintenanceRun
from shared.models.rollout import FleetSpec
from shared.models.settings import ChargerSettings
from shared.models.workers import Worker

__all__ = [
    "Action",
    "Base",
    "Brand",
    "CatalogModel",
    "Charger",
    "ChargerCount",
    "ChargerEvent",
    "ChargerLabel",
    "ChargerLink",
    "ChargerLog",
    "ChargerLogLine",
    "ChargerMemory",
    "ChargerReport",
    "ChargerSearch",
    "ChargerSettings",
    "Command",
    "ControlLink",
    "ControlSession",
    "FleetSpec",
    "Host",
    "HostCharger",
    "IdempotencyKey",
    "Installation",
    "Job",
    "JobItem",
    "Location",
    "LogCursor",
    "LogCut",
    "LogNumber",
    "LogVolume",
    "LoggedLink",
    "MaintenanceRun",
    "RemovedCharger",
    "ShownLink",
    "ShownReport",
    "Views",
    "Worker",
]

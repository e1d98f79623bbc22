"""Amazon ECS's errors, by the names that boto3 knows them by; moto writes them to the wire."""

from moto.core.exceptions import ServiceException


class ClientException(ServiceException):
    code = "ClientException"


class InvalidParameterException(ServiceException):
    code = "InvalidParameterException"


class UnsupportedFeatureException(ServiceException):
    code = "UnsupportedFeatureException"


class ClusterNotFoundException(ServiceException):
    code = "ClusterNotFoundException"
    message = "Cluster not found."


class ClusterContainsServicesException(ServiceException):
    code = "ClusterContainsServicesException"
    message = "The Cluster cannot be deleted while Services are active."


class ServiceNotFoundException(ServiceException):
    code = "ServiceNotFoundException"
    message = "Service not found."


class ServiceNotActiveException(ServiceException):
    code = "ServiceNotActiveException"
    message = "Service was not ACTIVE."

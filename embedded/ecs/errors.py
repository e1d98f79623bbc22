"""The errors of Amazon ECS, under the names that boto3 knows. moto encodes them."""

import orjson
from moto.core.exceptions import ServiceException
from werkzeug.wrappers import Response

JSON_TYPE = "application/x-amz-json-1.1"


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


def aws_error(status: int, code: str, message: str) -> Response:
    """An error answer in the form of the AWS JSON protocol."""
    body = orjson.dumps({"__type": code, "message": message})
    return Response(body, status=status, content_type=JSON_TYPE, headers={"x-amzn-errortype": code})

"""Declares operations, and makes the OpenAPI document of them."""

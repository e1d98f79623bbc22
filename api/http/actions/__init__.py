"""Schemas, queries, answers and examples of the operations on actions."""

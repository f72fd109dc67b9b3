"""The streaming core of Cody: schema, log, engine, stores and the client they are reached by."""

__version__ = "0.1.0"

"""The mission that ships: a survey of a folder of Python source."""

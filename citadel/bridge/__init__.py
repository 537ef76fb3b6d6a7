"""The bridge: an installed library's functions and classes as tools of a pool, by a manifest.

    manifest   bridge.yaml, read and checked: what may be reached, under which name
    surface    the manifest's names found in the installed libraries, once, when it is loaded
    shape      what a function takes and gives, and how that was learnt (its tier)
    tools      the surface as tools of a pool; objects that stay in the worker; values on their way
    sdk        a typed module for callers; report and lock say what it covers and was made from

Nothing that a caller sends is ever a name to look up: tools are resolved when the manifest is
loaded, and arguments are values, references to objects of the same session, or names of tools.
"""

HOSTED = "bridge:"
"""What a pool hosts is `module:Class`, or this and the path of a manifest."""

__version__ = "0.1.0"


def load_ipython_extension(ipython):
    "The magics of `phoenix.repair.notebook`, for `%load_ext phoenix`"
    from importlib import import_module

    import_module("phoenix.repair.notebook").load_ipython_extension(ipython)

"""Name the package to install where a filesystem, a database or another optional provider is missing."""

from __future__ import annotations

import re

_FILESYSTEMS = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "s3a": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
}
_CONNECTIONS = {
    "gcpbigquery": "google",
    "google_cloud_platform": "google",
    "mssql": "microsoft-mssql",
    "redshift": "amazon",
}
# As Airflow's ObjectStoragePath, its fsspec, and Connection.get_hook say it.
_no_filesystem = re.compile(r"No filesystem registered for scheme (\S+)|Unsupported filesystem: '(.*)'")
_no_hook = re.compile(r'Unknown hook type "(\w+)"')
_no_module = re.compile(r"airflow\.providers\.(common\.\w+|\w+)")


def explain_missing(error: BaseException | None) -> str | None:
    """Say what to install, where an error comes from a package that is not there; else None."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError) and (found := _no_module.match(error.name or "")):
        return _missing(f"the module {found[0]}", f"apache-airflow-providers-{found[1].replace('.', '-')}")
    if isinstance(error, ValueError) and (found := _no_filesystem.search(text)):
        scheme = found[1] or found[2]
        package = _FILESYSTEMS.get(scheme, "the Airflow provider that has this filesystem")
        return _missing(f"the filesystem of {scheme}://", package)
    if found := _no_hook.search(text):
        provider = _CONNECTIONS.get(found[1], found[1].replace("_", "-"))
        return _missing(f"the hook of connections of type {found[1]}", f"apache-airflow-providers-{provider}")
    return None


def _missing(what: str, package: str) -> str:
    return f"{what} is not installed where this task runs. Install {package} on the workers"
